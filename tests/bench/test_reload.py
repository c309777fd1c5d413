"""The proof that a reload costs no call, shortened: the command itself, with 1, 2 and 4 workers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(*args: str) -> list[list[str]]:
    """The rows of the table; the command must succeed."""
    command = [sys.executable, "-m", "bench.reload", *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_no_call_fails_or_is_mixed_and_a_save_takes_effect_within_a_second() -> None:
    head, *rows = run("--seconds", "1", "--timed", "4", "--workers", "1", "2", "4")
    assert [row[0] for row in rows] == ["1", "2", "4"]
    for row in rows:
        told = dict(zip(head, row, strict=False))
        assert int(told["reloads"]) >= 2
        assert int(told["calls"]) > 20
        assert (told["failed"], told["mixed"]) == ("0", "0")


def test_nothing_grows_with_the_number_of_reloads() -> None:
    _, *rows, last = run("--reloads", "60", "--workers", "1")
    assert [row[1] for row in rows] == [str(6 * number) for number in range(1, 11)]
    assert last[1:] == ["calls,", "0", "failed", "or", "mixed"]
