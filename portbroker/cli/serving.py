"""A gateway that serves while another program runs.

The one rule: it ends with the context, and what it said is shown only when it could not serve.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

from portbroker.cli.terminal import CommandError

_PATIENCE = 40.0
"""Seconds in which it must have ended, calls under way included."""


@contextlib.contextmanager
def served(config: str | None) -> Iterator[str]:
    """The address of a gateway of its own, on a free port. Raises `CommandError` with what it said when it has none."""
    command = [sys.executable, "-m", "portbroker", "serve", "--port", "0", *(["--config", config] if config else [])]
    # In a session of its own: the Ctrl-C that is meant for the program must not end the gateway under it.
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    try:
        yield _address(process.stderr)
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stderr.close()


def _address(log: IO[str]) -> str:
    said: list[str] = []
    for line in log:
        said.append(line)
        if "serving http" in line:
            threading.Thread(target=_read_on, args=(log,), daemon=True).start()
            return next(word.rstrip(",") for word in line.split() if word.startswith("http"))
    raise CommandError("the gateway does not start:\n" + "".join(said).rstrip())


def _read_on(log: IO[str]) -> None:
    """Take the rest, or the gateway would wait for somebody to read it."""
    with contextlib.suppress(ValueError):
        for _ in log:
            pass
