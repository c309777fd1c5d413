"""How long a worker that died is waited with."""

from portbroker.workers.restarts import SETTLED, Restarts


def test_workers_that_die_at_once_are_replaced_ever_more_slowly_but_not_for_ever() -> None:
    restarts = Restarts()
    waits = [restarts.after(0.0) for _ in range(5000)]
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits == sorted(waits)
    assert waits[-1] == 10.0


def test_a_worker_that_has_lived_a_while_is_replaced_soon() -> None:
    restarts = Restarts()
    for _ in range(8):
        restarts.after(0.0)
    assert restarts.after(SETTLED) == 0.1
    assert restarts.failures == 1
