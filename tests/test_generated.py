"""The generated files are current, and the command that makes them tells when they are not."""

import shutil
from pathlib import Path

import pytest

from tests.generated import keys
from tests.generated.__main__ import ROOT, main, stale
from tests.generated.regions import RegionError, fill


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("docs", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "portbroker").mkdir()
    shutil.copy(ROOT / "portbroker.yaml", tmp_path)
    main([], tmp_path)
    return tmp_path


def test_every_generated_file_is_current() -> None:
    assert not stale(), "run `uv run python -m tests.generated`"


def test_a_stale_file_is_named_with_the_difference_and_made_anew(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = copy / "docs" / "configuration.md"
    page.write_text(page.read_text().replace("The port to listen on", "The harbour"))
    (copy / "portbroker" / "starter.yaml").unlink()
    capsys.readouterr()
    assert main(["--check"], copy) == 1
    said = capsys.readouterr().err
    assert "The harbour" in said
    assert "stale: portbroker/starter.yaml, docs/configuration.md; run `uv run python -m tests.generated`" in said
    assert main([], copy) == 0
    assert capsys.readouterr().out == "wrote portbroker/starter.yaml\nwrote docs/configuration.md\n"
    assert main(["--check"], copy) == 0
    assert main(["--chek"], copy) == 2


def test_prose_around_a_region_stays() -> None:
    page = "before\n<!-- generated: a -->\nold\n<!-- end -->\nafter\n"
    assert fill(page, {"a": lambda: "new\n"}, "page") == (
        "before\n<!-- generated: a -->\n\nnew\n\n<!-- end -->\nafter\n"
    )


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("<!-- generated: b -->\n<!-- end -->\n", "page: nobody makes 'b'; known: a"),
        ("<!-- generated: a -->\n", "page: a region has no"),
        ("<!-- generated: a -->\n<!-- generated: a -->\n<!-- end -->\n", "page: the region 'a' has no"),
    ],
)
def test_a_region_that_nobody_makes_or_that_does_not_end_is_refused(page: str, complaint: str) -> None:
    with pytest.raises(RegionError, match=complaint):
        fill(page, {"a": lambda: "new\n"}, "page")


def test_every_section_and_all_of_the_grammar_is_documented() -> None:
    pages = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    sections = {f"keys of {name}" for name in keys.SECTIONS} - {f"keys of {name}" for name in keys.GRAMMAR}
    missing = [
        name
        for name in (*sections, "operations", "comparisons", "functions", "errors")
        if f"generated: {name} " not in pages
    ]
    assert missing == [], "give each a heading and a region in docs/configuration.md"
