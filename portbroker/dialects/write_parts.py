"""Canonical blocks as content parts, the way both of OpenAI's APIs have them.

What a block becomes is said here, how a dialect writes it is said there (`Words`). The one rule: a block that cannot
travel leaves a line of text in its place where its absence would confuse the model, and an adaptation always.
"""

from collections.abc import Callable
from dataclasses import dataclass

from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.dialects.written import inlined, no_citations, search_result, summary

NO_VISION = "[image omitted: this model does not accept images]"


@dataclass(frozen=True, slots=True)
class Words:
    """How a dialect writes a text, an image (URL, and the detail that was asked for) and a file; how it marks a part.

    `file` takes the source and title of a document; None where it cannot be written.
    """

    text: Callable[[str], Json]
    image: Callable[[str, object], Json]
    file: Callable[[Json, str], Json | None]
    marked: Callable[[Json, Json, Options], Json]


def write_block(data: Json, path: str, options: Options, report: Report, words: Words) -> list[Json]:
    """The parts of one block of a user turn; none for what is blank or cannot travel. `path` is its place."""
    kind = data["type"]
    if kind == "text":
        parts = [words.text(data["text"])] if data["text"].strip() else []
    elif kind == "image":
        parts = [_image(data, path, options, report, words)]
    elif kind == "document":
        parts = _document(data, path, options, report, words)
    elif kind == "search_result":
        parts = [words.text(search_result(data, path, report))]
    elif kind == "compaction" and data.get("content"):
        parts = [words.text(summary(data))]
    else:
        report.add("dropped", path)
        return []
    if parts and options.cache != "none":
        parts[-1] = words.marked(parts[-1], data, options)
    return parts


def _image(data: Json, path: str, options: Options, report: Report, words: Words) -> Json:
    """An image part, or the text that stands for an image that cannot travel."""
    source = data["source"]
    kind = source["type"]
    if options.vision and kind in ("base64", "url"):
        return words.image(source["url"] if kind == "url" else _data_url(source), data.get("_detail"))
    report.add("dropped", path)
    if not options.vision:
        return words.text(NO_VISION)
    what = f"file {source['file_id']}" if kind == "file" else f"{kind} source"
    return words.text(f"[image omitted: {what} is not available to this provider]")


def _document(data: Json, path: str, options: Options, report: Report, words: Words) -> list[Json]:
    source = data["source"]
    kind = source["type"]
    no_citations(data, path, report)
    if kind == "text":
        return [words.text(inlined(data, source["data"]))]
    if kind == "content":
        return _content_document(data, path, options, report, words)
    if options.documents == "file":
        told = {**source, "url": _data_url(source)} if kind == "base64" else source
        if part := words.file(told, data.get("title") or "document.pdf"):
            return [part]
    report.add("dropped", path)
    what = source.get("url") or source.get("file_id") or data.get("title") or "document.pdf"
    return [words.text(f"[document omitted: {what} could not be passed to this provider]")]


def _data_url(source: Json) -> str:
    return f"data:{source['media_type']};base64,{source['data']}"


def _content_document(data: Json, path: str, options: Options, report: Report, words: Words) -> list[Json]:
    """A document made of blocks: its texts inline, its images after it."""
    content = data["source"]["content"]
    if isinstance(content, str):
        return [words.text(inlined(data, content))]
    parts = [
        part
        for index, inner in enumerate(content)
        for part in write_block(inner, f"{path}.source.content[{index}]", options, report, words)
    ]
    texts = "\n\n".join(part["text"] for part in parts if "text" in part)
    return [words.text(inlined(data, texts)), *(part for part in parts if "text" not in part)]
