"""What is known of providers stays as long as it says something, and no longer."""

from portbroker.health import Fault, Health
from portbroker.policy import Breaker

BREAKER = Breaker()
FAULT = Fault("api", 500, "down")


def known(health: Health) -> set[str]:
    return set(health.view()["providers"])


def test_records_of_providers_that_are_gone_are_forgotten_and_those_that_say_something_kept() -> None:
    now = 0.0
    health = Health(lambda: now, lambda: 1.0)
    health.rest(("resting", "", ""), 1e6, FAULT, now)
    health.ended("resting", BREAKER, now)
    for number in range(600):
        now += 1.0
        health.ended(f"P{number}", BREAKER, now)
    assert len(known(health)) <= 300
    assert "resting" in known(health)
    assert {f"P{number}" for number in range(590, 600)} <= known(health)


def test_a_provider_that_is_elsewhere_now_begins_anew() -> None:
    health = Health(lambda: 5.0, lambda: 1.0)
    woken: list[int] = []
    health.watchers.add(lambda: woken.append(1))
    for place in (("P", "", ""), ("P", "key", ""), ("Q", "", "")):
        health.rest(place, 60, FAULT, 5.0)
    health.ended("P", BREAKER, 5.0)
    health.forget("P")
    assert [rest["provider"] for rest in health.view()["rests"]] == ["Q"]
    assert known(health) == set()
    assert len(woken) == 2
