"""A short run of chaos; and that its judge would see what must not be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.chaos import Figures, _judge

ROOT = Path(__file__).parent.parent.parent
WHOLE = "Mock answer 7 of one. You said: “n”. That is all."


def test_nothing_is_lost_that_a_sound_provider_could_have_answered() -> None:
    run = subprocess.run(
        ["bench/chaos", "--minutes", "0.05", "--calls", "60"],
        cwd=ROOT, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads(run.stdout)
    assert figures["whole"] > 60
    assert figures["tried_again"]


@pytest.mark.parametrize(
    ("words", "broken", "what"),
    [
        (WHOLE, False, "whole"),
        ("Mock answer 7 of one. You", True, "cut"),
        ("Mock answer 7 of one. You", False, "truncated"),
        ("", False, "truncated"),
        ("", True, "lost"),
        (WHOLE.replace("“n”", "“another”"), False, "truncated"),
        (f"Mock answer 6 of two. You {WHOLE}", False, "duplicated"),
    ],
)
def test_a_judge_sees_what_an_answer_is(words: str, broken: bool, what: str) -> None:
    figures = Figures(calls=1)
    _judge(figures, set(), "n", words, broken, b"")
    assert getattr(figures, what) == 1
    assert figures.sound == (what in ("whole", "cut"))


def test_an_answer_that_comes_to_two_callers_is_seen() -> None:
    figures, seen = Figures(calls=2), set[str]()
    for _ in range(2):
        _judge(figures, seen, "n", WHOLE, False, b"")
    assert (figures.whole, figures.duplicated) == (1, 1)
    assert not figures.sound
