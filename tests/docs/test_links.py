"""Links on the pages lead somewhere, and the README names every example."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT

LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(CODE.sub("", page.read_text())):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_names_every_example_and_every_page() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    files = [*ROOT.glob("examples/*.yaml"), *ROOT.glob("docs/*.md")]
    for directory in (path for path in ROOT.glob("examples/*") if path.is_dir()):
        readme = directory / "README.md"  # of an example of many files, this tells them apart
        files += [readme] if readme.exists() else directory.rglob("*.yaml")
    assert {str(file.relative_to(ROOT)) for file in files} <= linked
