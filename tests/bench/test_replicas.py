"""Several gateways with one PostgreSQL, for a few seconds."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_replicas_hold_together_what_they_must() -> None:
    run = subprocess.run(
        ["bench/replicas", "--replicas", "2", "--calls", "60", "--down", "1", "--without-balancer"],
        cwd=ROOT, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert [line.partition(":")[0] for line in run.stdout.splitlines()] == [
        "holds  budget is not overspent",
        "holds  limit is one for all",
        "holds  revocation reaches all",
        "holds  swap converges",
        "holds  outage loses nothing",
        "holds  usage is whole",
    ]
