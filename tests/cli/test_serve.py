"""The real command, serving on a real socket."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

FILE = """\
providers:
  - {name: OpenAI, provider_type: openai, api_key: "{{ env.CLI_TEST_KEY }}"}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "portbroker.yaml").write_text(FILE)
    variables = {k: v for k, v in os.environ.items() if k not in ("CLI_TEST_KEY", "PORTBROKER_CONFIG", "HOST")}
    process = subprocess.Popen(
        [sys.executable, "-m", "portbroker"],
        cwd=tmp_path,
        env=variables | {"PORT": "0"},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def test_a_bare_command_serves_says_who_cannot_answer_and_ends_when_told(server: subprocess.Popen[str]) -> None:
    assert server.stderr is not None
    lines = []
    for line in server.stderr:
        lines.append(line)
        if "serving http" in line:
            break
    log = "".join(lines)
    assert "WARNING provider OpenAI is inactive: CLI_TEST_KEY is not set\n" in log
    assert "INFO    provider demo: inside this process\n" in log
    url = next(word.rstrip(",") for word in lines[-1].split() if word.startswith("http://127.0.0.1:"))
    body = {"model": "claude-haiku-4-5", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    with urllib.request.urlopen(f"{url}/v1/messages", json.dumps(body).encode(), timeout=10) as answer:
        assert json.load(answer)["content"][0]["text"].startswith("Hello from PortBroker")
    server.send_signal(signal.SIGTERM)
    rest = server.stderr.read()
    assert server.wait(10) == 0
    assert "Traceback" not in rest


def test_an_address_that_others_reach_is_refused(tmp_path: Path) -> None:
    (tmp_path / "portbroker.yaml").write_text(FILE)
    command = [sys.executable, "-m", "portbroker", "--host", "0.0.0.0", "--port", "0"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert "error: refusing to listen on 0.0.0.0" in result.stderr
    assert "Traceback" not in result.stderr
