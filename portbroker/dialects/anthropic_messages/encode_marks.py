"""Cache marks: Anthropic allows four in a body.

The one rule: the last four stay, because they reach furthest.
"""

from collections.abc import Iterator

from portbroker.conversation import Json

MOST_MARKS = 4


def limit_marks(body: Json) -> None:
    """Take the marks before the last four out of a body whose lists are its own; blocks are replaced."""
    marked = [(row, index) for row in _rows(body) for index, block in enumerate(row) if "cache_control" in block]
    for row, index in marked[:-MOST_MARKS]:
        row[index] = {key: value for key, value in row[index].items() if key != "cache_control"}


def _rows(body: Json) -> Iterator[list[Json]]:
    """Every list of blocks that may bear marks, in the order in which Anthropic reads them."""
    yield body.get("tools") or []
    if isinstance(body.get("system"), list):
        yield body["system"]
    for message in body["messages"]:
        if isinstance(message["content"], list):
            yield from (block["content"] for block in message["content"] if isinstance(block.get("content"), list))
            yield message["content"]
