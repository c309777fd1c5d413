"""Load on one side, and what it came to. The one rule: every load has an end, and its client ends with it."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from bench.scenarios import Scenario, request
from bench.sides import LOAD_CORE, Side, pin


def tell(mock: Side, scenario: Scenario) -> None:
    """Set the mock up for a scenario."""
    urllib.request.urlopen(f"http://127.0.0.1:{mock.port}/set?{scenario.setting}", timeout=5).close()


def load(
    into: Path, side: Side, scenario: Scenario, connections: int, seconds: float, core: int | None = LOAD_CORE
) -> dict[str, Any]:
    """What the load client saw, and what the side spent meanwhile."""
    file = into / "request"
    file.write_bytes(request(scenario, side.port))
    before = side.cpu()
    command = [str(into / "load"), str(side.port), str(file), str(connections), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        if core is not None:
            pin(client.pid, core)
        out, _ = client.communicate(timeout=seconds + 30)
    return {**json.loads(out), "cpu": side.cpu() - before, "memory": side.memory()}
