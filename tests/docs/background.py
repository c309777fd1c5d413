"""What the pages start in the background (`... &`): it runs while the pages are tried.

The one rule: each listens on a free port, and whatever else names the port of the page means that one.
"""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs import reader
from tests.docs.blocks import Block

_PORT = re.compile(r"--port (\d+)")


def lines_of(block: Block) -> list[str]:
    """The commands of the block that are left running."""
    return [line.removesuffix("&").strip() for line in block.text.splitlines() if line.endswith(" &")]


@dataclass(frozen=True)
class Background:
    """What runs. `ports` leads from those of the pages to the real ones."""

    ports: Mapping[str, int]

    def elsewhere(self, text: str) -> str:
        """The text with the real ports, without what runs already."""
        kept = "\n".join(line for line in text.splitlines() if not line.endswith(" &"))
        for port, real in self.ports.items():
            kept = kept.replace(f":{port}/", f":{real}/")
        return kept


@contextlib.contextmanager
def running(blocks: list[Block], directory: Path) -> Iterator[Background]:
    """All that the pages leave running, answering, in a copy of the project."""
    commands = [line for block in blocks for line in lines_of(block)]
    background = Background({_port(command): _free_port() for command in commands})
    variables = reader.environment(reader.project(directory))
    for file in (directory / "examples").glob("*.yaml"):
        file.write_text(background.elsewhere(file.read_text()))
    with contextlib.ExitStack() as stack:
        for command in commands:
            words = shlex.split(_PORT.sub(f"--port {background.ports[_port(command)]}", command))
            stack.enter_context(_started(words, directory, variables))
        for port in background.ports.values():
            _wait_for(port)
        yield background


def _port(command: str) -> str:
    found = _PORT.search(command)
    assert found, f"`{command}` names no port"
    return found[1]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def _started(words: list[str], directory: Path, variables: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(words, cwd=directory, env=variables, stderr=subprocess.DEVNULL, start_new_session=True)
    with process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _wait_for(port: int) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")
