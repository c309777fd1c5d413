"""Content parts, the way both of OpenAI's APIs have them, as canonical blocks.

What a part means is said by its reader. The one rule: only a part of unknown type is lost, and reported.
"""

from collections.abc import Callable, Iterator, Mapping

from portbroker.conversation import Json, Report
from portbroker.dialects.attachments import cache_mark, no_sound
from portbroker.dialects.reading import object_in, refuse, text_in

Readers = Mapping[str, Callable[[Json, str], Json]]
"""By the type of a part: what makes a block of it and its path."""


def read_parts(parts: list[object], path: str, report: Report, readers: Readers) -> Iterator[tuple[int, Json]]:
    """The blocks of those parts that are known, each with its place in the list; the others are reported."""
    for index, value in enumerate(parts):
        where = f"{path}[{index}]"
        data = _part(object_in(value, where), where, readers)
        if data is None:
            report.add("dropped", where)
        else:
            yield index, data


def _part(part: Json, path: str, readers: Readers) -> Json | None:
    """One part as a block, its cache mark kept; None when its type is unknown."""
    kind = part.get("type")
    read = readers.get(kind) if isinstance(kind, str) else refuse(f"{path}.type", "a string")
    if read is None:
        return None
    block = read(part, path)
    mark = cache_mark(part)
    return {**block, "cache_control": mark} if mark else block


def read_text(part: Json, path: str) -> Json:
    return {"type": "text", "text": text_in(part.get("text"), f"{path}.text")}


def read_refusal(part: Json, path: str) -> Json:
    return {"type": "text", "text": text_in(part.get("refusal"), f"{path}.refusal"), "_refusal": True}


def read_audio(part: Json, path: str) -> Json:
    return no_sound(object_in(part.get("input_audio"), f"{path}.input_audio"))


def titled(file: Json) -> Json:
    """What is known of a file's name, as a document has it."""
    title = file.get("filename")
    return {"title": title} if isinstance(title, str) and title else {}
