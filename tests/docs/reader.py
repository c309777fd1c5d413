"""A reader who does what the pages say: a copy of the project, a shell, and a gateway started as the README says.

The one rule: what cannot be run as it stands is listed in `INSTEAD`, with the reason.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.blocks import ROOT

ADDRESS = "http://127.0.0.1:8000"
"""Where the pages say that PortBroker serves; tests take a free port."""

ADMIN_KEY = "pb-" + "admin" * 8
"""What the pages call `$PORTBROKER_ADMIN_KEY`."""
SERVE = "uv run portbroker"
_RUN = "uv run portbroker run --serve -- sh -c 'curl \"$ANTHROPIC_BASE_URL/health\"'"
INSTEAD = {
    # It would change this machine. That there is a uv, and that the next line finds what it needs, is what counts.
    "pip install uv": "uv --version",
    # It serves until it is stopped. `serving_as_told` has started this very line, and what it serves is asked here.
    SERVE: f"curl {ADDRESS}/health",
    # It needs Node and a package from elsewhere. What it would do first is to send its token and ask.
    "claude": 'curl "$ANTHROPIC_BASE_URL/v1/messages?beta=true" -H "authorization: Bearer $ANTHROPIC_AUTH_TOKEN" '
    """-d '{"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}'""",
    "uv run portbroker run --serve -- claude    # or for one run, with a gateway that ends with it": _RUN,
    "uv run portbroker run --serve -- claude": _RUN,
    # These are the tests that it would run.
    "uv run pytest": "uv run pytest --version",
}
"""Lines that are not run as they stand, and what is run instead."""

_COPIED = ("portbroker.yaml", "pyproject.toml", "uv.lock", "README.md", "examples", "schemas")


def project(directory: Path) -> Path:
    """A copy of what a reader has before them, without anything that is only on this machine."""
    for name in _COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, directory / name)
    return directory


def environment(directory: Path) -> dict[str, str]:
    """The variables of a shell: no credential of any provider, and the packages of these tests for `uv run`."""
    tools = directory / ".tools"
    tools.mkdir(exist_ok=True)
    (tools / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    if shutil.which("curl") is None:
        (tools / "curl").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).parent / "curl.py"}" "$@"\n')
        (tools / "curl").chmod(0o700)
    path = [str(tools), str(Path(sys.executable).parent), str(_uv().parent), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(path),
        "HOME": str(tools),
        "PORTBROKER_ADMIN_KEY": ADMIN_KEY,
        "CURL_HOME": str(tools),
        "UV_NO_SYNC": "1",  # the environment of these tests is what is tried
        "UV_OFFLINE": "1",
        "UV_PROJECT_ENVIRONMENT": sys.prefix,
    }


def _uv() -> Path:
    found = os.environ.get("UV") or shutil.which("uv")
    assert found, "the pages begin with uv, and there is none: `pip install uv`, or run the tests with `uv run pytest`"
    return Path(found)


@contextmanager
def serving_as_told(directory: Path) -> Iterator[str]:
    """The address of a gateway that was started by the README's own line in a copy of the project."""
    variables = environment(project(directory)) | {"PORT": "0"}
    process = subprocess.Popen(
        SERVE.split(), cwd=directory, env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        try:
            yield _address(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    log = ""
    for line in process.stderr:
        log += line
        if "serving http" in line:
            return next(word.rstrip(",") for word in line.split() if word.startswith("http"))
    raise AssertionError(f"`{SERVE}` does not serve:\n{log}")


def script(text: str, address: str) -> str:
    """A block as it is run."""
    lines = [INSTEAD.get(line, line) for line in text.splitlines()]
    return "\n".join(lines).replace(ADDRESS, address)
