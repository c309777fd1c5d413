"""The command, as a process."""

import json
import subprocess
import sys
import urllib.request

from portbroker.mock.behaviours import BEHAVIOURS

COMMAND = [sys.executable, "-m", "portbroker", "mock"]


def test_it_serves_until_it_is_told_to_stop() -> None:
    command = [*COMMAND, "--port", "0", "--behaviour", "fail-503"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            control = next(word for word in line.split() if word.endswith("/__mock"))
            with urllib.request.urlopen(control, timeout=10) as answer:
                assert json.load(answer)["behaviour"] == "fail-503"
        finally:
            process.terminate()
        assert process.wait(10) == 0


def test_its_help_names_every_behaviour() -> None:
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert all(f"  {name} " in shown for name in BEHAVIOURS)


def test_a_behaviour_that_there_is_not_is_a_mistake() -> None:
    result = subprocess.run([*COMMAND, "--behaviour", "explode"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 2
    assert "is no behaviour" in result.stderr
