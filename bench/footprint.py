"""`bench/footprint`: how long until the first answer, and how much memory a gateway has before and after work.

The one rule: each start is a new process, and memory is what the system says of the whole process tree.
"""

import argparse
import contextlib
import http.client
import json
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.loading import load, tell
from bench.scenarios import PATHS, SCENARIOS, call
from bench.sides import LOAD_CORE, SIDE_CORE, Side, build, free_port, gateway, pin, started

PATIENCE = 20.0
"""Seconds in which a gateway must answer its first call."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/footprint", description=__doc__.partition("\n")[0])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        into = Path(folder)
        build(into)
        mock = stack.enter_context(started("mock", port := free_port(), [str(into / "mock"), str(port)], LOAD_CORE))
        tell(mock, SCENARIOS["anthropic"])
        starts = [first_answer(into, mock) for _ in range(asked.starts)]
        print(f"start to first answer  {median(seconds for seconds, _ in starts):.2f} s")
        print(f"idle                   {median(memory for _, memory in starts):.0f} MB")
        command = gateway(into / "portbroker.yaml", port := free_port(), mock.port)
        side = stack.enter_context(started("portbroker", port, command))
        _work(into, mock, side, "anthropic_paced", asked.streams, asked.seconds, f"after {asked.streams} streams")
        _work(into, mock, side, "anthropic_1m", 16, asked.seconds, "after bodies of 1 MB")


def first_answer(into: Path, mock: Side) -> tuple[float, float]:
    """Seconds from the command to the first answer of a model, and the megabytes of it then."""
    command = gateway(into / "portbroker.yaml", port := free_port(), mock.port)
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        pin(process.pid, SIDE_CORE)
        while not _answers(port):
            if time.monotonic() > began + PATIENCE or process.poll() is not None:
                raise RuntimeError(f"no answer from {command!r}")
            time.sleep(0.005)
        return time.monotonic() - began, Side("portbroker", port, process.pid).memory()
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    scenario = SCENARIOS["anthropic"]
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request(
            "POST", PATHS[scenario.dialect], json.dumps(call(scenario)), {"content-type": "application/json"}
        )
        return client.getresponse().status == 200
    except OSError:
        return False
    finally:
        client.close()


def _work(into: Path, mock: Side, side: Side, name: str, connections: int, seconds: float, when: str) -> None:
    tell(mock, SCENARIOS[name])
    row = load(into, side, SCENARIOS[name], connections, seconds)
    trouble = f"   {row['failures']} failed, {row['unfinished']} not ended" * bool(row["failures"] + row["unfinished"])
    print(f"{when:<23}{row['memory']:.0f} MB{trouble}")


if __name__ == "__main__":
    main()
