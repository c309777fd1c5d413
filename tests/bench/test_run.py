"""A whole run, as small as it can be, of the sides that need nothing but Python; and what can be had without gcc."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.sides import build, free_port, started

ROOT = Path(__file__).parent.parent.parent


def test_a_side_is_measured_while_it_runs_and_ended_after_that() -> None:
    port = free_port()
    server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with started("anyone", port, server, core=0) as side:
        assert side.cpu() > 0
        assert side.memory() > 1
    assert not Path(f"/proc/{side.pid}").exists()


def test_what_is_missing_to_build_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="gcc"):
        build(tmp_path)


if shutil.which("gcc"):  # not every machine that runs the tests has a compiler, and PortBroker itself needs none

    def test_a_run_measures_and_compares(tmp_path: Path) -> None:
        rows = tmp_path / "rows.jsonl"
        arguments = ["--sides", "bare,portbroker", "--scenarios", "anthropic", "--connections", "2", "--rounds", "1"]
        run = subprocess.run(
            ["bench/run", *arguments, "--seconds", "0.1", "--out", str(rows)],
            cwd=ROOT, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        measured = [json.loads(line) for line in rows.read_text().splitlines()]
        assert [row["side"] for row in measured] == ["bare", "portbroker"]
        assert all(row["answers"] and row["cpu"] and not row["failures"] for row in measured)
        assert "failed" not in run.stdout
