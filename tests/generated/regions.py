"""Pages with generated regions: `<!-- generated: NAME -->`, a table, `<!-- end -->`.

The one rule: prose is edited in the page itself, and what stands in a region is never edited.
"""

import re
from collections.abc import Callable, Iterable, Mapping

_REGION = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_BEGIN = re.compile(r"<!-- generated: ")


class RegionError(Exception):
    """A page asks for something that nobody makes, or a region does not end."""


def fill(page: str, tables: Mapping[str, Callable[[], str]], name: str) -> str:
    """The page with every region made anew."""

    def made(match: re.Match[str]) -> str:
        if _BEGIN.search(match[0], 1):
            raise RegionError(f"{name}: the region {match[2]!r} has no `<!-- end -->`")
        if match[2] not in tables:
            raise RegionError(f"{name}: nobody makes {match[2]!r}; known: {', '.join(tables)}")
        return f"{match[1]}\n{tables[match[2]]()}\n{match[3]}"

    filled, count = _REGION.subn(made, page)
    if count != len(_BEGIN.findall(page)):
        raise RegionError(f"{name}: a region has no `<!-- end -->`")
    return filled


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown, with the bars inside of cells escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(_line(cells) for cells in lines)


def _line(cells: tuple[str, ...]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"
