"""What is wrong with a file is explained to whoever asks, however many ask at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from portbroker.config import explain


def test_a_file_in_doubt_is_explained_in_several_threads_at_once() -> None:
    together = Barrier(8)

    def ask(_: int) -> list[str]:
        together.wait()
        return [finding.message for finding in explain.explain({"server": {"prt": 1}})]

    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            explain._built.cache_clear()
            assert set(map(tuple, threads.map(ask, range(8)))) == {("the key `prt` is not known here",)}
