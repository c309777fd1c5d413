"""How providers are is known of every worker, whichever is asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portbroker.cli.admin_client import AdminClient, Refused, running_server
from portbroker.conversation import Json

FILE = """\
providers:
  - {name: Gone, base_url: "http://127.0.0.1:1/v1", api_key: x, models: [m], breaker: {failures: 1, cool_down: 60s}}
retry: {attempts: 1}
"""
PATIENCE = 60.0


@pytest.fixture
def client(tmp_path: Path) -> Iterator[AdminClient]:
    """A client of two workers."""
    file = tmp_path / "portbroker.yaml"
    file.write_text(FILE)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PORTBROKER")}
    command = [sys.executable, "-m", "portbroker", "--port", "0", "--workers", "2"]
    with (tmp_path / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=log)
    try:
        ends = time.monotonic() + PATIENCE
        while (server := running_server(file)) is None:
            assert time.monotonic() < ends
            assert process.poll() is None
            time.sleep(0.02)
        yield AdminClient(server.url, server.token)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def states(client: AdminClient, of: str) -> dict[int, str]:
    """How the provider is, by process."""
    workers: list[Json] = client.ask("GET", f"/admin/health?workers={of}")["workers"]
    return {worker["process"]: worker["providers"][0]["state"] for worker in workers}


def test_each_worker_is_told_of_by_any(client: AdminClient) -> None:
    ends = time.monotonic() + PATIENCE
    while len(states(client, "all")) < 2:
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert len(states(client, "one")) == 1
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(Refused):
        client.ask("POST", "/v1/chat/completions", body)
    while "resting" not in states(client, "all").values():
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert len(states(client, "all")) == 2
