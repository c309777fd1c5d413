"""A request body, in any dialect, in tokens: what the model reads of it, and what comes around that.

The one rule: nothing that a model may read is left out; what only programs read (ids, signatures, cache marks) is.
"""

import re
from collections.abc import Iterator
from math import ceil
from typing import Any

import orjson

from portbroker.conversation import Json
from portbroker.tokenizer.media import UNKNOWN_IMAGE, document_tokens, image_tokens, sound_tokens
from portbroker.tokenizer.pieces import pieces_pattern
from portbroker.tokenizer.vocabulary import vocabulary

_SPOKEN = (
    "system",
    "instructions",
    "messages",
    "input",
    "tools",
    "functions",
    "response_format",
    "output_config",
    "text",
)
_UNREAD = frozenset({
    "signature", "encrypted_content", "encrypted_index", "cache_control", "id", "tool_use_id", "call_id",
    "tool_call_id", "role", "type", "status", "detail", "media_type", "file_id", "prompt_cache_breakpoint",
})  # fmt: skip
_IMAGES = frozenset({"image", "image_url", "input_image"})
_DOCUMENTS = frozenset({"document", "file", "input_file"})
_AS_JSON = frozenset({"input", "parameters", "input_schema", "schema"})
"""What providers show their models as JSON, or as something of about that length."""
_PER_MESSAGE = 4
_PER_TOOL = 8
_REPLY = 3
_MERGED = 1.08
"""How many more tokens merging pairs leaves of a word that is none than the longest first do, at the most."""
_EXACT = 256 * 1024
"""Characters that are counted one by one; of more, as many are looked at, evenly spread."""
_SLICE = 2048
_UNSEEN = 1.03
"""What is not looked at may be a little denser than what is."""
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")
# Claude's own tokenizers find more tokens in the same text, the newer one by far.
_HEAVIER = ((re.compile(r"claude-(?:[a-z]+-)?(?:5|4-[789])(?!\d)"), 1.3), (re.compile("claude"), 1.1))


def count_tokens(body: Json, model: str = "") -> int:
    """Input tokens of a body, for an upstream model where that is known."""
    counting = _Counting()
    for name in _SPOKEN:
        counting.add(body.get(name), name)
    total = (counting.tokens + text_tokens(counting.texts) + _frames(body)) * _factor(model)
    return max(1, ceil(total))


def _factor(model: str) -> float:
    return next((factor for pattern, factor in _HEAVIER if pattern.search(model)), 1.0)


def _frames(body: Json) -> int:
    """What stands around messages and tools."""
    listed = [value for name in ("messages", "input") if isinstance(value := body.get(name), list)]
    tools = [value for name in ("tools", "functions") if isinstance(value := body.get(name), list)]
    alone = (not listed) + any(body.get(name) for name in ("system", "instructions"))
    return _REPLY + _PER_MESSAGE * (sum(map(len, listed)) + alone) + _PER_TOOL * sum(map(len, tools))


class _Counting:
    """What was found so far: texts to be counted, and the tokens of what is none."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tokens = 0

    def add(self, value: Any, name: str) -> None:
        """Look at a value and all within it, without recursion: a client may nest as it likes."""
        stack = [(name, value)]
        while stack:
            name, item = stack.pop()
            if isinstance(item, str):
                self._text(item)
            elif isinstance(item, list):
                stack += [(name, inner) for inner in item]
            elif isinstance(item, dict):
                if not self._media(item):
                    stack += [(key, inner) for key, inner in self._read(item)]
            elif item is not None:
                self._text(str(item))

    def _read(self, item: Json) -> Iterator[tuple[str, Any]]:
        for key, inner in item.items():
            if key in _AS_JSON and isinstance(inner, dict):
                self.texts.append(_json(inner))
            elif key not in _UNREAD:
                yield key, inner

    def _text(self, text: str) -> None:
        if len(text) > 64 and _DATA_URL.match(text):
            self.tokens += image_tokens(text.partition(",")[2])
        else:
            self.texts.append(text)

    def _media(self, item: Json) -> bool:
        """Whether it is no text, and is counted."""
        kind = item.get("type")
        if not isinstance(kind, str):
            return False
        source = item.get("source")
        source = source if isinstance(source, dict) else {}
        if kind in _IMAGES:
            self.tokens += _image(item, source)
        elif kind == "input_audio":
            sound = item.get("input_audio")
            self.tokens += sound_tokens(sound.get("data") if isinstance(sound, dict) else None)
        elif kind in _DOCUMENTS and source.get("type") not in ("text", "content"):
            self.tokens += document_tokens({"data": _file_data(item), **source})
        else:
            return kind == "redacted_thinking"
        return True


def _image(item: Json, source: Json) -> int:
    url = item.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url
    data = (
        source.get("data") if source else url.partition(",")[2] if isinstance(url, str) and url[:5] == "data:" else None
    )
    return image_tokens(data) if isinstance(data, str) else UNKNOWN_IMAGE


def _file_data(item: Json) -> Any:
    inner = item.get("file")
    data = (inner if isinstance(inner, dict) else item).get("file_data")
    return data.partition(",")[2] or data if isinstance(data, str) else None


def _json(value: Json) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # orjson reads deeper than it writes
        return str(value)


def text_tokens(texts: list[str]) -> int:
    """Tokens of texts together; of very much text, as many as a part of it promises."""
    length = sum(map(len, texts))
    if length <= _EXACT:
        return _counted(texts)
    return ceil(_counted(_spread("\n".join(texts))) * length / _EXACT * _UNSEEN)


def _spread(text: str) -> list[str]:
    """Slices of a text, all of the same length and as far from each other."""
    slices = _EXACT // _SLICE
    step = (len(text) - _SLICE) / (slices - 1)
    starts = [int(number * step) for number in range(slices)]
    return [text[start : start + _SLICE] for start in starts]


def _counted(texts: list[str]) -> int:
    pattern = pieces_pattern()
    known: dict[str, float] = {}  # a text repeats its words
    total = 0.0
    for text in texts:
        for found in pattern.finditer(text):
            piece = found[0]
            tokens = known.get(piece)
            if tokens is None:
                tokens = known[piece] = _piece_tokens(piece)
            total += tokens
    return ceil(total)


def _piece_tokens(piece: str) -> float:
    count = vocabulary().count(piece.encode("utf-8", "surrogatepass"))
    return count if count == 1 else count * _MERGED
