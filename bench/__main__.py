"""`bench/run`: start all sides, load them in turn, print the table."""

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.loading import load, tell
from bench.report import table
from bench.scenarios import SCENARIOS
from bench.sides import LOAD_CORE, VARIANTS, Side, build, commands, free_port, started


def main() -> None:
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave through the contexts, which end what was started
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        into = Path(folder)
        into.chmod(0o755)  # nginx gives up its rights, and looks for its folders after that
        build(into)
        mock = stack.enter_context(started("mock", port := free_port(), [str(into / "mock"), str(port)], LOAD_CORE))
        offered = commands(into, mock.port)
        names = asked.sides.split(",") if asked.sides else [name for name in offered if name not in VARIANTS]
        sides = [stack.enter_context(started(name, *offered[name])) for name in names if name in offered]
        sides += [Side(name, int(number), int(pid)) for name, number, pid in (p.split(":") for p in asked.peer)]
        rows = list(_measured(asked, into, mock, sides))
    if asked.out:
        Path(asked.out).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(table(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="Compare the CPU cost of a call through each side.")
    parser.add_argument("--sides", help="of nginx,haproxy,bare,portbroker (default: those that are installed), "
                        f"{','.join(VARIANTS)}")  # fmt: skip
    parser.add_argument("--peer", action="append", default=[], metavar="NAME:PORT:PID", help="a gateway that runs")
    parser.add_argument("--scenarios", default="chat,anthropic,anthropic_agent,anthropic_paced",
                        help=f"of {', '.join(SCENARIOS)}")  # fmt: skip
    parser.add_argument("--connections", default="16,64")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--out", help="write the rows to this file, one JSON object a line")
    return parser.parse_args()


def _measured(asked: argparse.Namespace, into: Path, mock: Side, sides: list[Side]) -> Iterator[dict[str, Any]]:
    """A row for each side in each round; the sides take turns, so that noise meets all of them."""
    for number in range(asked.rounds):
        for name in asked.scenarios.split(","):
            for connections in map(int, asked.connections.split(",")):
                tell(mock, SCENARIOS[name])
                for side in sides:
                    load(into, side, SCENARIOS[name], connections, 0.3)  # connections open, caches fill
                    figures = load(into, side, SCENARIOS[name], connections, asked.seconds)
                    yield {"round": number, "scenario": name, "connections": connections, "side": side.name, **figures}


if __name__ == "__main__":
    main()
