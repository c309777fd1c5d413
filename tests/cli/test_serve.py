"""The real command, serving on a real socket."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

FILE = """\
providers:
  - {name: OpenAI, provider_type: openai, api_key: "{{ env.CLI_TEST_KEY }}"}
"""


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, with the arguments that the test gives it."""
    (tmp_path / "portbroker.yaml").write_text(FILE)
    variables = {k: v for k, v in os.environ.items() if k not in ("CLI_TEST_KEY", "PORTBROKER_CONFIG", "HOST")}
    process = subprocess.Popen(
        [sys.executable, "-m", "portbroker", *getattr(request, "param", ())],
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


def serving(server: subprocess.Popen[str]) -> str:
    """The URL, as soon as it is told."""
    assert server.stderr is not None
    for line in server.stderr:
        if "serving http" in line:
            return next(word.rstrip(",") for word in line.split() if word.startswith("http"))
    raise AssertionError("it does not serve")


@pytest.mark.parametrize("server", [["--host", "0.0.0.0"], ["--host", "0.0.0.0", "--workers", "2"]], indirect=True)
def test_on_an_address_that_others_reach_nobody_is_answered_without_a_key(
    server: subprocess.Popen[str], tmp_path: Path
) -> None:
    url = serving(server).replace("0.0.0.0", "127.0.0.1")
    body = {"model": "claude-haiku-4-5", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{url}/v1/messages", json.dumps(body).encode(), timeout=10)
    command = [sys.executable, "-m", "portbroker", "keys", "create", "team-a", "--secret-only"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert made.returncode == 0, made.stderr
    asked = urllib.request.Request(f"{url}/v1/messages", json.dumps(body).encode(), {"x-api-key": made.stdout.strip()})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert json.load(answer)["content"][0]["text"].startswith("Hello from PortBroker")
    assert (tmp_path / ".portbroker" / "server.json").stat().st_mode & 0o777 == 0o600
    server.send_signal(signal.SIGTERM)
    assert server.stderr
    server.stderr.read()
    assert server.wait(20) == 0
    assert not (tmp_path / ".portbroker" / "server.json").exists()
