"""Blocks that a provider has no form for, as text that a model understands.

The one rule: what a block says is kept; only what its maker alone can read is left out.
"""

import orjson

from portbroker.conversation import Json, Report
from portbroker.errors import CallError


def compact(value: object, path: str) -> str:
    """Compact JSON text; what no JSON writer takes is the caller's mistake."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # orjson reports depth and lone surrogates so
        raise CallError(f"{path}: cannot be written as JSON ({error})", param=path) from error


def summary(data: Json) -> str:
    """What a compaction block says."""
    return f"<summary>{data['content']}</summary>"


def inlined(data: Json, text: str) -> str:
    """A document's text between tags that name it."""
    title, context = data.get("title"), data.get("context")
    opening = f'<document title="{_attribute(title)}">' if title else "<document>"
    return "\n".join([opening, *([context] if context else []), text, "</document>"])


def search_result(data: Json, path: str, report: Report) -> str:
    """What a search found, between tags that name its source."""
    no_citations(data, path, report)
    texts = []
    for index, inner in enumerate(data["content"]):
        if inner.get("type") == "text":
            texts.append(inner["text"])
        else:
            report.add("dropped", f"{path}.content[{index}]")
    body = "\n\n".join(text for text in texts if text.strip())
    title, source = _attribute(data["title"]), _attribute(data["source"])
    return f'<search_result title="{title}" source="{source}">\n{body}\n</search_result>'


def no_citations(data: Json, path: str, report: Report) -> None:
    """Report that a document will not be cited as the caller asked."""
    citations = data.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        report.add("dropped", f"{path}.citations")


def _attribute(text: str) -> str:
    return text.replace('"', "&quot;")
