"""The first minute of somebody who has installed the package and has no file."""

from pathlib import Path

import pytest

from portbroker.cli import main

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PORTBROKER_CONFIG", raising=False)
    return tmp_path


def test_a_file_is_written_that_can_be_served_and_an_editor_explains(here: Path) -> None:
    assert main(["init"]) == 0
    text = (here / "portbroker.yaml").read_text()
    assert text == (ROOT / "portbroker.yaml").read_text()
    schema = text.splitlines()[0].partition("$schema=")[2]
    assert (here / schema).read_text() == (ROOT / "schemas/portbroker.schema.json").read_text()
    assert main(["check"]) == 0
    assert main(["test"]) == 0


def test_another_name_is_written_beside_what_is_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    (here / "schemas/portbroker.schema.json").write_text("{}")
    assert main(["init", "other.yaml"]) == 0
    assert "`portbroker other.yaml` serves it" in capsys.readouterr().out
    assert (here / "schemas/portbroker.schema.json").read_text() == "{}"


def test_a_file_that_is_there_stays_as_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "portbroker.yaml").write_text("mine")
    assert main(["init"]) == 1
    assert capsys.readouterr().err.startswith("error: portbroker.yaml is there already\nhint:  `portbroker check")
    assert (here / "portbroker.yaml").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "file").write_text("")
    assert main(["init", "file/portbroker.yaml"]) == 1
    assert capsys.readouterr().err == "error: file/schemas: Not a directory\n"
