"""The log as machines read it."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from portbroker.errors import GatewayError
from portbroker.logs import ColouredLines, JsonLines
from portbroker.usage import AttemptRecord, Exchange


def line(message: str, *args: object, **more: Any) -> Any:
    record = logging.LogRecord("portbroker.calls", logging.WARNING, "x.py", 1, message, args, more.get("exc_info"))
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_call_is_told_with_its_attempts_and_why_each_ended() -> None:
    call = Exchange("POST", "/v1/messages", "abc", request_id="req_1", model="m", status=502, partial=True)
    call.attempts = [
        AttemptRecord("A", "a-1", "rate_limit", 429, 0.25, "slow down\nnow", "team", "first"),
        AttemptRecord("B", "b-1", why="next target"),
    ]
    call.error = GatewayError("x" * 500, status=502)
    call.first_content = call.began + 0.5
    told = line("%s", call)
    assert (told["level"], told["logger"]) == ("warning", "portbroker.calls")
    assert told["time"].endswith("+00:00")
    assert (told["request_id"], told["status"], told["revision"], told["partial"]) == ("req_1", 502, "abc", True)
    assert told["first_content_seconds"] == 0.5
    assert told["attempts"] == [
        {"provider": "A", "model": "a-1", "outcome": "rate_limit", "why": "first", "seconds": 0.25, "key": "team",
         "status": 429, "message": "slow down\nnow"},
        {"provider": "B", "model": "b-1", "outcome": "ok", "why": "next target", "seconds": 0.0},
    ]  # fmt: skip
    assert len(told["error"]) < 210
    assert "waited_seconds" not in told


def test_what_is_no_call_is_told_in_words() -> None:
    assert line("serving %s", "http://x\n")["message"] == "serving http://x\n"
    assert line("plain 100 %")["message"] == "plain 100 %"


def test_a_fault_of_ours_keeps_its_traceback_on_the_line() -> None:
    try:
        int("no")
    except ValueError:
        told = line("it failed", exc_info=sys.exc_info())
    assert "ValueError: invalid literal" in told["traceback"]


def test_the_server_logs_objects_when_told_to(tmp_path: Path) -> None:
    (tmp_path / "portbroker.yaml").write_text("providers: []\n")
    command = [sys.executable, "-m", "portbroker", "--port", "0", "--log-format", "json"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        for text in server.stderr:
            if json.loads(text)["message"].startswith("serving http"):
                break
        server.terminate()
        assert json.loads(server.stderr.readlines()[-1])["message"] == "stopped"


def coloured(level: int, message: str) -> str:
    record = logging.LogRecord("portbroker.reload", level, "x.py", 1, message, (), None)
    return ColouredLines("%(levelname)-7s %(message)s").format(record)


def test_on_a_terminal_a_fault_is_red_and_what_to_do_is_cyan() -> None:
    text = coloured(
        logging.ERROR, "wrong\n  f.yaml:3:1: colour: no\n   3 | colour: red\n     | ^^^^^^\n  hint: take it out"
    )
    assert text == (
        "\x1b[31mERROR\x1b[0m   wrong\n  f.yaml:3:1: colour: no\n   3 | colour: red\n     | \x1b[31m^^^^^^\x1b[0m\n"
        "  \x1b[36mhint:\x1b[0m take it out"
    )
    assert coloured(logging.WARNING, "odd") == "\x1b[33mWARNING\x1b[0m odd"


def test_on_a_terminal_what_a_reload_changes_is_green() -> None:
    text = coloured(logging.INFO, "save: revision 0123456789ab, was ba9876543210: n: at P")
    assert text == "INFO    save: revision 0123456789ab, was ba9876543210: \x1b[32mn: at P\x1b[0m"
    assert "\x1b" not in coloured(logging.INFO, "serving http://127.0.0.1:8000")
