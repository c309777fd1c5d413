"""The process that serves: what it does before its first call."""

import subprocess
import sys

LOOKS = """
import gc
from portbroker.app import run

async def look() -> None:
    print(gc.get_freeze_count() > 10_000, gc.get_threshold()[0] >= 10_000, gc.isenabled())

run(look())
"""


def test_the_garbage_collector_rarely_looks_and_never_at_what_was_there_before_the_first_call() -> None:
    result = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, timeout=30)
    assert (result.stdout.split(), result.stderr) == (["True"] * 3, "")
