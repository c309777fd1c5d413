"""`portbroker run`: to whoever calls it, it is the program that it starts."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FILE = """
server: {{port: {port}}}
providers:
  - {{name: Local, base_url: "http://127.0.0.1:9/v1", api_key: k, models: [fast]}}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    (tmp_path / "portbroker.yaml").write_text(FILE.format(port=port))
    return tmp_path


def environment(directory: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(Path(__file__).parents[2])}


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "portbroker", "run", *args]


def ran(directory: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), cwd=directory, env=environment(directory), capture_output=True, text=True, timeout=60
    )


ASK = """
import json, os, urllib.request
url = os.environ["ANTHROPIC_BASE_URL"]
print(json.load(urllib.request.urlopen(url + "/"))["name"])
print(os.getppid())
raise SystemExit(7)
"""


def test_a_gateway_serves_while_the_program_runs_and_ends_with_it(directory: Path) -> None:
    done = ran(directory, "--serve", "--", sys.executable, "-c", ASK)
    assert (done.returncode, done.stdout.splitlines()[0]) == (7, "PortBroker")
    assert "serving http://127.0.0.1:" in done.stderr
    port = int(done.stderr.split("127.0.0.1:")[1].split()[0])
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("127.0.0.1", port))


def test_without_a_gateway_it_is_said_how_to_have_one(directory: Path) -> None:
    done = ran(directory, "--", "true")
    assert done.returncode == 1
    assert "nothing answers at http://127.0.0.1:" in done.stderr
    assert "portbroker run --serve -- ..." in done.stderr


def test_a_gateway_that_cannot_start_says_why(directory: Path) -> None:
    (directory / "broken.yaml").write_text("providers: 3\n")
    done = ran(directory, "--serve", "--config", "broken.yaml", "--", "true")
    assert done.returncode == 1
    assert "the gateway does not start" in done.stderr
    assert "broken.yaml:1:12" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_program_has_the_status_of_a_shell(directory: Path) -> None:
    assert ran(directory, "--", "no-such-program").returncode == 127
    assert ran(directory).returncode == 2


@contextmanager
def sleeping(directory: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """The command with a program that says when it has begun, and which signal ends it."""
    program = "import signal, sys, time\n" \
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n" \
        "signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored by whoever starts in the background\n" \
        "print('ready', flush=True)\ntime.sleep(60)\n"  # fmt: skip
    process = subprocess.Popen(
        command(*args, "--", sys.executable, "-c", program), cwd=directory, env=environment(directory),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 3), (signal.SIGINT, 130)])
def test_signals_reach_the_program_under_a_gateway_of_its_own(
    directory: Path, number: signal.Signals, status: int
) -> None:
    with sleeping(directory, "--serve") as process:
        process.send_signal(number)
        assert process.wait(30) == status


def test_with_a_gateway_that_runs_the_program_takes_the_place_of_the_command(directory: Path) -> None:
    serve = [sys.executable, "-m", "portbroker", "serve"]
    gateway = subprocess.Popen(serve, cwd=directory, env=environment(directory), stderr=subprocess.DEVNULL)
    try:
        port = int((directory / "portbroker.yaml").read_text().split("port: ")[1].split("}")[0])
        _wait_for(port)
        with sleeping(directory) as process:
            arguments = Path(f"/proc/{process.pid}/cmdline")
            if arguments.exists():
                assert b"signal.SIGTERM" in arguments.read_bytes().split(b"\0")[2]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 3
    finally:
        gateway.kill()
        gateway.wait()


def _wait_for(port: int) -> None:
    ends = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < ends
            time.sleep(0.02)
        else:
            return
