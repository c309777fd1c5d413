"""`bench/workers`: calls a second with one process and with several, when provider and clients share their cores.

The one rule: nothing is pinned; both take turns, and only figures of one round are compared.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.loading import load, tell
from bench.scenarios import SCENARIOS
from bench.sides import Side, build, free_port, gateway, started


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/workers", description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--scenario", choices=SCENARIOS, default="anthropic")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rounds = list(_rounds(asked, Path(folder)))
    for place, workers in enumerate(asked.workers):
        rates = [one[place] for one in rounds]
        ratio = median(one[place] / one[0] for one in rounds)
        print(f"{workers:>3} workers{median(rates):>9.0f} calls/s   {ratio:.2f} x of {asked.workers[0]}")


def _rounds(asked: argparse.Namespace, into: Path) -> Iterator[list[float]]:
    """Calls a second with each number of workers, round by round."""
    build(into)
    scenario = SCENARIOS[asked.scenario]
    with contextlib.ExitStack() as stack:
        mock = stack.enter_context(started("mock", port := free_port(), [str(into / "mock"), str(port)], None))
        tell(mock, scenario)
        sides = [stack.enter_context(_gateway(into, workers, mock)) for workers in asked.workers]
        for _ in range(asked.rounds):
            for side in sides:
                load(into, side, scenario, asked.connections, 0.3, None)
            rows = [load(into, side, scenario, asked.connections, asked.seconds, None) for side in sides]
            if any(row["failures"] or row["unfinished"] for row in rows):
                sys.exit(f"calls failed: {rows}")
            yield [row["answers"] / row["seconds"] for row in rows]


def _gateway(into: Path, workers: int, mock: Side) -> contextlib.AbstractContextManager[Side]:
    command = gateway(into / f"workers_{workers}.yaml", port := free_port(), mock.port, workers=workers)
    return started(f"workers_{workers}", port, command, None)


if __name__ == "__main__":
    main()
