"""What becomes of memory that is free again."""

import subprocess
import sys

WORK = """
from pathlib import Path
from portbroker.memory import give_back_large_buffers

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))

give_back_large_buffers()
kept, before = [], resident()
for _ in range(4):
    large = []
    for _ in range(64):
        large.append(b"x" * 2**20)
        kept.append(b"x" * 5000)
    held = resident() - before
    del large
print(held // 1024, (resident() - before) // 1024)
"""


def test_large_buffers_go_back_to_the_system_whatever_lies_between_them() -> None:
    run = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    held, left = map(int, run.stdout.split())
    assert held > 64
    assert left < 8
