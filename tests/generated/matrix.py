"""The tables of what goes through between dialects. One rule: each cell is what came of trying it."""

from collections.abc import Callable, Iterable

from portbroker.dialects.registry import DIALECTS
from tests.generated.regions import table
from tests.matrix import grid
from tests.matrix.answers import PARTS, THOUGHTFUL
from tests.matrix.asks import ASKS
from tests.matrix.errors import WRONGS
from tests.matrix.grid import PAIRS, Cell

_SHORT = {"anthropic.messages": "Anthropic", "openai.chat": "chat", "openai.responses": "Responses"}
_TRANSLATED = [pair for pair in PAIRS if pair[0] != pair[1]]
_HEAD = tuple(f"{_SHORT[client]} → {_SHORT[provider]}" for client, provider in _TRANSLATED)
_GROUPS = ("text", "tools", "thinking", "images", "structured output")


def _words(cell: Cell) -> str:
    """A cell, for people."""
    codes = ", ".join(f"`{adaptation}`" for adaptation in cell.adaptations)
    if cell.fate == "changed":
        return ", ".join(filter(None, (f"**changed**: {cell.why}" if cell.why else "**changed**", codes)))
    return {"carried": "carried", "none": "-", "unneeded": "no need"}.get(cell.fate) or f"**lost**, {codes}"


def _calls(group: str) -> Callable[[], str]:
    def made() -> str:
        asks = [ask for ask in ASKS if ask.group == group]
        rows = [(ask.name, *(_words(grid.asked(ask, *pair)) for pair in _TRANSLATED))
                for ask in asks]  # fmt: skip
        return table(("in the call", *_HEAD), rows)

    return made


def _answers() -> str:
    rows: list[tuple[str, ...]] = []
    for part in PARTS:
        cells = [{grid.answered(part, *pair, stream=stream) for stream in part.ways} for pair in _TRANSLATED]
        rows.append((part.name, *(_both(each) for each in cells)))
    proofs = (grid.proven(*pair) for pair in _TRANSLATED)
    rows.append((THOUGHTFUL.name, *map(_words, proofs)))
    return table(("in the answer", *_HEAD), rows)


def _both(cells: Iterable[Cell]) -> str:
    """What came of it whole and streamed."""
    return " / ".join(sorted(map(_words, cells)))


def _errors() -> str:
    rows = [(wrong.name, *(grid.refused(wrong, client, client).why for client in DIALECTS)) for wrong in WRONGS]
    return table(("what is wrong", *(f"told to a client of {name}" for name in _SHORT.values())), rows)


TABLES: dict[str, Callable[[], str]] = {
    **{f"matrix of {group}": _calls(group) for group in _GROUPS},
    "matrix of answers": _answers,
    "matrix of errors": _errors,
}
