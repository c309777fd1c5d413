"""What a call has in tokens: against a real tokenizer's counts, and against what clients may send."""

import base64
import json
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.tokenizer import count_tokens
from portbroker.tokenizer.bodies import text_tokens
from portbroker.tokenizer.media import UNKNOWN_IMAGE, document_tokens, image_size, image_tokens, sound_tokens
from portbroker.tokenizer.pieces import pieces_pattern
from portbroker.tokenizer.vocabulary import vocabulary

CORPUS = [json.loads(line) for line in (Path(__file__).parent / "corpus.jsonl").read_text("utf-8").splitlines()]
TEXTS = [case for case in CORPUS if "text" in case]
BODIES = [case for case in CORPUS if "body" in case]
USER = {"role": "user"}


def ask(content: Any, **more: Any) -> int:
    return count_tokens({"model": "m", "messages": [{**USER, "content": content}], **more})


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case["name"])
def test_a_text_is_never_counted_five_per_cent_short_nor_fifteen_over(case: dict[str, Any]) -> None:
    assert 0.95 <= text_tokens([case["text"]]) / case["tokens"] <= 1.15


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case["name"])
def test_a_body_is_never_counted_five_per_cent_short(case: dict[str, Any]) -> None:
    assert 0.95 <= count_tokens(case["body"]) / case["tokens"] <= 1.4


def test_over_the_whole_corpus_the_count_is_a_few_per_cent_high() -> None:
    found = sum(text_tokens([case["text"]]) for case in TEXTS)
    assert 1.0 <= found / sum(case["tokens"] for case in TEXTS) <= 1.05


def test_the_corpus_has_text_of_many_kinds() -> None:
    assert {"english prose", "chinese", "python", "compact json", "base64", "emoji chat"} <= {c["name"] for c in TEXTS}
    assert len(TEXTS) >= 60
    assert len(BODIES) >= 7


def test_very_much_text_is_counted_by_a_part_of_it() -> None:
    chance = random.Random(3)
    long = [text for _ in range(15) for text in chance.sample([case["text"] for case in TEXTS], len(TEXTS))]
    assert sum(map(len, long)) > 600_000
    assert 0.98 <= text_tokens(long) / sum(15 * text_tokens([case["text"]]) for case in TEXTS) <= 1.08


@pytest.mark.parametrize("name", ["digits", "hex", "indented blank"])
def test_a_piece_without_end_takes_no_time_without_end(name: str) -> None:
    text = {"digits": "1" * 10**6, "hex": "f00d" * 250_000, "indented blank": " " * 10**6}[name]
    assert text_tokens([text]) > 0


def test_the_same_call_counts_alike_in_every_dialect() -> None:
    text = TEXTS[0]["text"]
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    chat = count_tokens({
        "messages": [{"role": "system", "content": text}, {**USER, "content": text}],
        "tools": [{"type": "function", "function": {"name": "weather", "description": text, "parameters": schema}}],
    })  # fmt: skip
    anthropic = count_tokens({
        "system": [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}],
        "messages": [{**USER, "content": [{"type": "text", "text": text}]}],
        "tools": [{"name": "weather", "description": text, "input_schema": schema}],
    })  # fmt: skip
    responses = count_tokens({
        "instructions": text, "input": text,
        "tools": [{"type": "function", "name": "weather", "description": text, "parameters": schema}],
    })  # fmt: skip
    assert max(chat, anthropic, responses) - min(chat, anthropic, responses) <= 4


def test_calls_and_results_of_tools_count() -> None:
    words = "word " * 200
    for block in (
        {"type": "tool_use", "id": "toolu_1", "name": "n", "input": {"deep": [{"text": words}]}},
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": words}]},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": words}]}},
        {"type": "thinking", "thinking": words, "signature": "s" * 5000},
    ):
        assert 200 <= ask([block]) <= 260, block["type"]
    assert 200 <= count_tokens({"input": [{"type": "function_call", "call_id": "c", "arguments": words}]}) <= 260


def test_what_only_programs_read_does_not_count() -> None:
    secret = base64.b64encode(random.Random(1).randbytes(3000)).decode()
    assert ask([{"type": "redacted_thinking", "data": secret}]) < 20
    assert (
        count_tokens({"input": [{"type": "reasoning", "id": secret, "encrypted_content": secret, "summary": []}]}) < 20
    )
    assert ask([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]) == ask("x")


@pytest.mark.parametrize(
    ("model", "factor"),
    [("gpt-5.2", 1.0), ("claude-haiku-4-5", 1.1), ("anthropic/claude-3.5-sonnet", 1.1), ("claude-opus-4-8", 1.3),
     ("anthropic.claude-sonnet-5-5-v1:0", 1.3), ("claude-opus-5", 1.3)],
)  # fmt: skip
def test_claudes_tokenizers_find_more(model: str, factor: float) -> None:
    body = {"messages": [{**USER, "content": TEXTS[0]["text"]}]}
    assert count_tokens(body, model) == pytest.approx(count_tokens(body) * factor, abs=1)


# images, documents, sound


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 30_002) + bytes(30_000)
    return b"\xff\xd8" + exif + b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(12)


IMAGES = {
    "png": png(300, 200),
    "jpeg": jpeg(300, 200),
    "gif": b"GIF89a" + struct.pack("<HH", 300, 200) + bytes(20),
    "webp": b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 300, 200) + bytes(9),
    "webp lossless": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (299 | 199 << 14).to_bytes(4, "little") + bytes(9),
    "webp extended": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (299).to_bytes(3, "little") + (199).to_bytes(3, "little"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_the_size_of_an_image_is_in_its_head(kind: str) -> None:
    assert image_size(IMAGES[kind]) == (300, 200)
    for cut in range(len(IMAGES[kind][:40])):
        image_size(IMAGES[kind][:cut])  # never raises


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((100, 100), 255), ((512, 512), 350), ((1024, 1024), 1399), ((4000, 4000), 1600), ((2048, 400), 1093)],
)
def test_an_image_counts_by_its_size(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(base64.b64encode(png(*size)).decode()) == tokens


@pytest.mark.parametrize("data", ["", "####", "AAAA", base64.b64encode(png(0, 9)).decode()])
def test_an_image_of_unknown_size_counts_as_a_large_one(data: str) -> None:
    assert image_tokens(data) == UNKNOWN_IMAGE


def test_an_image_counts_alike_wherever_it_stands() -> None:
    data = base64.b64encode(png(512, 512)).decode()
    url = f"data:image/png;base64,{data}"
    source = {"type": "base64", "media_type": "image/png", "data": data}
    for block in (
        {"type": "image", "source": source},
        {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
        {"type": "input_image", "image_url": url},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": source}]},
    ):
        assert 350 <= ask([block]) <= 370, block["type"]
    assert ask([{"type": "image", "source": {"type": "url", "url": "https://x.example/i.png"}}]) >= UNKNOWN_IMAGE


def test_a_document_counts_by_its_pages() -> None:
    pdf = b"%PDF-1.7 " + b"<< /Type /Page >> " * 3 + b"<< /Type /Pages >>"
    data = base64.b64encode(pdf).decode()
    assert document_tokens({"type": "base64", "data": data}) == 6000
    assert document_tokens({"type": "url"}) == 4000
    for block in (
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}},
        {"type": "input_file", "file_data": data},
    ):
        assert 6000 <= ask([block]) <= 6020, block["type"]


def test_a_recording_counts_by_its_length() -> None:
    assert 100 <= ask([{"type": "input_audio", "input_audio": {"data": "A" * 100_000, "format": "mp3"}}]) <= 120
    assert sound_tokens(None) > 0


# whatever a client sends

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["type", "source", "data", "content"]), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)  # the first example loads the vocabulary
@given(st.dictionaries(st.sampled_from(["messages", "input", "tools", "system", "model"]), ANY_JSON))
def test_no_body_is_too_odd_to_be_counted(body: dict[str, Any]) -> None:
    assert count_tokens(body) >= 1


def test_half_a_character_and_endless_nesting_are_counted() -> None:
    assert ask("\ud800 x") > 0
    deep: Any = "x"
    for _ in range(2000):
        deep = [{"content": deep, "input": {"a": deep}}] if isinstance(deep, str) else [{"content": deep}]
    assert ask(deep) > 0


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_every_character_belongs_to_one_piece(text: str) -> None:
    assert "".join(found[0] for found in pieces_pattern().finditer(text)) == text


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_every_text_falls_into_tokens(piece: bytes) -> None:
    longest = vocabulary().longest(piece[:128])
    assert 1 <= longest <= len(piece)
    assert 1 <= vocabulary().count(piece) <= len(piece)


def test_nothing_is_loaded_before_something_is_counted() -> None:
    code = "import sys, portbroker.app; print([name for name in sys.modules if 'portbroker.tokenizer' in name])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
