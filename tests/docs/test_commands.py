"""Every command, every program and every output on the pages: run in a real shell, against a real gateway.

The one rule: a block of a kind that is not known here is a failure, so that nothing goes unread.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs import background, reader
from tests.docs.blocks import ALL, Block, of

OUTPUT = {"json", "text"}
"""Languages of blocks that show what the block before them prints."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with reader.serving_as_told(tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[background.Background]:
    with background.running(of("sh"), tmp_path_factory.mktemp("background")) as running:
        yield running


def run(command: list[str], directory: Path) -> str:
    """What a command prints; it must succeed, without a traceback."""
    variables = reader.environment(reader.project(directory))
    result = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout


def shown_after(block: Block) -> Block | None:
    """The block that shows what this one prints."""
    after = next((later for earlier, later in pairwise(ALL) if earlier is block), None)
    return after if after and after.page == block.page and after.language in OUTPUT else None


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_a_command_does_what_the_page_says(
    block: Block, gateway: str, left_running: background.Background, tmp_path: Path
) -> None:
    text = left_running.elsewhere(block.text)
    printed = run(["sh", "-euc", reader.script(text, gateway)], tmp_path)
    if '"stream": true' in block.text:
        assert "event: message_stop" in printed
    if (shown := shown_after(block)) is not None and shown.language == "json":
        assert json.loads(printed) == json.loads(shown.text)
    elif shown is not None:
        assert printed.strip() == shown.text.strip()


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_a_program_gets_its_answer(block: Block, gateway: str, tmp_path: Path) -> None:
    printed = run([sys.executable, "-W", "error", "-c", reader.script(block.text, gateway)], tmp_path)
    assert "PortBroker's built-in demo provider" in printed


def test_every_block_is_of_a_kind_that_is_run() -> None:
    strange = [f"{block}: {block.language}" for block in ALL if block.language not in {"sh", "python", "yaml"} | OUTPUT]
    assert strange == []


def test_every_output_follows_the_command_that_prints_it() -> None:
    followed = {id(shown_after(block)) for block in of("sh")}
    assert [str(block) for block in ALL if block.language in OUTPUT and id(block) not in followed] == []


def test_every_exception_is_still_needed() -> None:
    lines = {line for block in of("sh") for line in block.text.splitlines()}
    assert set(reader.INSTEAD) <= lines


def test_the_curl_of_machines_without_one_does_the_same(gateway: str, tmp_path: Path) -> None:
    block = next(block for block in of("sh") if '"stream": true' in block.text)
    own = f'{sys.executable} "{Path(reader.__file__).parent / "curl.py"}"'
    text = reader.script(block.text, gateway)
    assert "event: message_stop" in run(["sh", "-euc", text.replace("curl ", f"{own} ", 1)], tmp_path)
    nowhere = ["sh", "-c", f"{own} {gateway}/nowhere"]
    assert subprocess.run(nowhere, capture_output=True, timeout=30).returncode == 22
