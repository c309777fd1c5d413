"""`bench/soak`: all scenarios in turn for a long time, and whether memory grows.

The one rule: the first minute is for warming up; the last one is compared with the second.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.loading import load, tell
from bench.scenarios import SCENARIOS
from bench.sides import LOAD_CORE, Side, build, free_port, gateway, started

GROWTH = 1.05
"""How much more memory the last minute may have than the second."""
TURN = 3.0
"""Seconds of each scenario."""


class Memory(threading.Thread):
    """A side's memory, second by second, until told to stop."""

    def __init__(self, side: Side) -> None:
        super().__init__(daemon=True)
        self.side = side
        self.seen: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(1):
            self.seen.append(self.side.memory())


def growth(seen: Sequence[float], minute: int = 60) -> float:
    """The last minute's memory as a share of the second's; `seen` has a value for each second."""
    return median(seen[-minute:]) / median(seen[minute : 2 * minute])


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="at least 3")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        into = Path(folder)
        build(into)
        mock = stack.enter_context(started("mock", port := free_port(), [str(into / "mock"), str(port)], LOAD_CORE))
        command = gateway(into / "portbroker.yaml", port := free_port(), mock.port)
        side = stack.enter_context(started("portbroker", port, command))
        memory = Memory(side)
        memory.start()
        answers, failures = _soak(into, mock, side, max(3.0, asked.minutes) * 60)
        memory.stop.set()
        memory.join()
    grown = growth(memory.seen)
    print(f"{answers} answers, {failures} failures, {memory.seen[-1]:.0f} MB, {grown:.2f} x of the second minute")
    sys.exit(failures > 0 or grown > GROWTH)


def _soak(into: Path, mock: Side, side: Side, seconds: float) -> tuple[int, int]:
    """Answers and failures."""
    answers = failures = 0
    ends = time.monotonic() + seconds
    for name in itertools.cycle(SCENARIOS):
        if time.monotonic() >= ends:
            return answers, failures
        tell(mock, SCENARIOS[name])
        row = load(into, side, SCENARIOS[name], 64 if SCENARIOS[name].stream else 16, TURN)
        answers += row["answers"]
        failures += row["failures"] + row["unfinished"]
    return answers, failures


if __name__ == "__main__":
    main()
