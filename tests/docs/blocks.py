"""The code blocks of a page. One rule: a block knows its place, so that a failure can be found."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and where it begins."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    begin, language, text = 0, "", ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if begin and line.strip() == "```":
            yield Block(str(page.relative_to(ROOT)), begin, language, text)
            begin = 0
        elif begin:
            text += line
        elif line.startswith("```"):
            begin, language, text = number, line.strip().strip("`"), ""
    assert not begin, f"{page}:{begin}: this block does not end"


ALL = tuple(block for page in PAGES for block in blocks(page))


def of(language: str) -> list[Block]:
    """The blocks of a language."""
    return [block for block in ALL if block.language == language]
