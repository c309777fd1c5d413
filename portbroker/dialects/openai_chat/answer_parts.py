"""What a chat message or delta says: reasoning under its many names, text, refusals, citations.

The one rule: nothing is certain about a provider's types; what is not as expected counts as not there.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from portbroker.conversation import Json, Report
from portbroker.dialects.envelope import PLAIN, wrap

_PLAIN_DETAILS = {"reasoning.text": "text", "reasoning.summary": "summary"}


@dataclass(slots=True)
class Said:
    """The content of a message or delta, by what it is."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""


def read_content(content: object, report: Report, path: str) -> Said:
    """What `content` says: a string, or the parts that some providers send."""
    if isinstance(content, str):
        return Said(content)
    said = Said()
    for i, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, str):
            said.text += part
        elif isinstance(part, dict) and not _read_part(part, said):
            report.add("dropped", f"{path}.content[{i}]")
    return said


def _read_part(part: Json, said: Said) -> bool:
    """Whether the part could be read; what it says is added to `said`."""
    kind = part.get("type", "text")
    if kind in ("text", "output_text"):
        said.text += flat(part.get("text"))
    elif kind == "thinking":
        said.reasoning += flat(part.get("thinking"))
    elif kind == "refusal":
        said.refusal += flat(part.get("refusal"))
    else:
        return False
    return True


def flat(value: object) -> str:
    """The text in a string or in a list of strings and text parts; "" for anything else."""
    if isinstance(value, str):
        return value
    pieces = [p.get("text") if isinstance(p, dict) else p for p in value] if isinstance(value, list) else []
    return "".join([piece for piece in pieces if isinstance(piece, str)])


def named_reasoning(message: Json) -> str:
    """The reasoning that a message or delta gives under a name of its own. Providers send one text under several."""
    details = message.get("reasoning_details")
    if details and (text := details_text(details)):
        return text
    for name in ("reasoning_content", "reasoning"):
        if (given := message.get(name)) and (text := flat(given)):
            return text
    return ""


def details_text(details: object) -> str:
    """All that can be read in `reasoning_details`."""
    entries = details if isinstance(details, list) else ()
    return "".join([_detail_text(entry) for entry in entries if isinstance(entry, dict)])


def _detail_text(entry: Json) -> str:
    kind = entry.get("type")
    name = _PLAIN_DETAILS.get(kind) if isinstance(kind, str) else None
    return flat(entry.get(name)) if name else ""


class Details:
    """The `reasoning_details` of one thinking block, put together from whatever pieces they come in."""

    __slots__ = ("_entries", "_open", "_texts", "bears_state")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.bears_state = False
        """Whether there is more than text: a signature, or something encrypted, that the provider wants back."""
        self._entries: list[Json] = []
        self._texts: list[list[str]] = []
        self._open: dict[tuple[str, object], int] = {}

    def add(self, details: object) -> None:
        for entry in details if isinstance(details, list) else ():
            if isinstance(entry, dict):
                self._add(entry)

    def _add(self, entry: Json) -> None:
        kind, index = entry.get("type"), entry.get("index")
        if not isinstance(kind, str) or kind not in _PLAIN_DETAILS:
            self.bears_state = True
            self._begin(entry)
            return
        if entry.get("signature"):
            self.bears_state = True
        key = (kind, index if isinstance(index, int | str) else None)
        place = self._open.get(key)
        if place is None:
            place = self._open[key] = self._begin({})
        self._entries[place].update({name: value for name, value in entry.items() if value is not None})
        self._texts[place].append(_detail_text(entry))

    def _begin(self, entry: Json) -> int:
        self._entries.append(entry)
        self._texts.append([])
        return len(self._entries) - 1

    def seal(self, origin: str) -> str:
        """The signature for the block that these belong to; nothing is kept for the next one."""
        entries = self._whole() if self.bears_state else []
        self.clear()
        try:
            return wrap("rd", origin, v=entries) if entries else PLAIN
        except orjson.JSONEncodeError:  # nested deeper than can be written: no provider's real state
            return PLAIN

    def _whole(self) -> list[Json]:
        pairs = zip(self._entries, self._texts, strict=True)
        return [{**e, _PLAIN_DETAILS[e["type"]]: "".join(t)} if t else e for e, t in pairs]


def citations(annotations: object, text: str) -> list[Json]:
    """The web citations among a message's annotations. `text` is what their offsets count in."""
    found = [_citation(a, text) for a in (annotations if isinstance(annotations, list) else ())]
    return [citation for citation in found if citation]


def _citation(annotation: Any, text: str) -> Json | None:
    if not isinstance(annotation, dict) or annotation.get("type") != "url_citation":
        return None
    cited = annotation.get("url_citation")
    cited = cited if isinstance(cited, dict) else annotation
    start, end = cited.get("start_index"), cited.get("end_index")
    in_text = type(start) is int and type(end) is int and 0 <= start <= end
    return {
        "type": "web_search_result_location",
        "url": flat(cited.get("url")),
        "title": flat(cited.get("title")) or None,
        "cited_text": text[start:end] if in_text else "",
        "encrypted_index": "",
    }
