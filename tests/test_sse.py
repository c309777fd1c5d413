"""Any cut of the bytes, any line end: the same events."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.sse import SSEEvent, SSEParser, SSETooLarge


def parse(*reads: bytes, limit: int = 8 * 1024 * 1024) -> list[SSEEvent]:
    parser = SSEParser(limit)
    return [event for read in reads for event in parser.feed(read)] + parser.finish()


LINE = st.one_of(
    st.sampled_from([
        b"", b"", b"data", b"data:", b"data: ", b"data:  x", b"data: {}", b"data: [DONE]", b": keep-alive", b":",
        b"event: message_start", b"event:", b"event", b"id: 7", b"retry: 10", b"datax: 1", b" data: 1", b"nonsense",
    ]),
    st.text(alphabet="aé😀\u2028\u0085\x0b\x0c\x1c :", max_size=6).map(lambda text: b"data: " + text.encode()),
)  # fmt: skip
LINES = st.lists(LINE, max_size=14)
END = st.sampled_from([b"\n", b"\r\n", b"\r"])


def reference(lines: list[bytes]) -> list[SSEEvent]:
    """What the specification says, in the plainest way."""
    events: list[SSEEvent] = []
    name: str | None = None
    data: list[bytes] = []
    for line in [*lines, b""]:
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode() or None
        elif not line:
            if data:
                events.append((name, b"\n".join(data)))
            name, data = None, []
    return events


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


@given(LINES, END, st.lists(st.integers(0, 400), max_size=12), st.booleans(), st.booleans())
def test_any_cut_and_any_line_end_give_the_events_of_the_specification(
    lines: list[bytes], end: bytes, places: list[int], bom: bool, ended: bool
) -> None:
    stream = (b"\xef\xbb\xbf" if bom else b"") + end.join(lines) + (end if ended and lines else b"")
    assert parse(*cut(stream, places)) == reference(lines)


@given(LINES, END)
def test_a_byte_at_a_time_gives_the_events_of_one_read(lines: list[bytes], end: bytes) -> None:
    stream = end.join(lines)
    assert parse(*(stream[i : i + 1] for i in range(len(stream)))) == parse(stream)


@given(st.lists(st.tuples(LINE, END), max_size=12), st.lists(st.integers(0, 400), max_size=12))
def test_line_ends_may_be_mixed(pairs: list[tuple[bytes, bytes]], places: list[int]) -> None:
    stream = b"".join(line + end for line, end in pairs)
    assert parse(*cut(stream, places)) == parse(stream)


@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=8))
def test_garbage_is_never_an_error_and_never_depends_on_the_cut(stream: bytes, places: list[int]) -> None:
    assert parse(*cut(stream, places)) == parse(stream)


def test_an_event_is_handed_over_as_soon_as_its_blank_line_is_read() -> None:
    parser = SSEParser()
    assert parser.feed(b"event: ping\ndata: {}\n") == []
    assert parser.feed(b"\n") == [("ping", b"{}")]
    assert parser.feed(b"data: 1\r\r") == [(None, b"1")]
    assert parser.feed(b"\ndata: 2\n\n") == [(None, b"2")]


def test_empty_reads_change_nothing() -> None:
    assert parse(b"", b"data: 1\r", b"", b"\n\r", b"", b"\n", b"") == [(None, b"1")]


def test_a_byte_order_mark_counts_only_at_the_start() -> None:
    assert parse(b"\xef", b"\xbb", b"\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n") == [(None, b"1")]


@pytest.mark.parametrize(
    "reads",
    [
        [b"data: " + b"x" * 200 + b"\n\n"],
        [b"data: " + b"x" * 90, b"x" * 90],
        [b"data: xxxxxxxxxxxxxxxxxxxx\n" * 10],
        [b"data: xxxxxxxxxxxxxxxxxxxx\n"] * 10,
        [b": " + b"x" * 200],
    ],
)
def test_an_event_beyond_the_limit_is_refused_however_it_is_read(reads: list[bytes]) -> None:
    with pytest.raises(SSETooLarge, match="larger than 100 bytes"):
        parse(*reads, limit=100)


def test_the_limit_is_one_events_and_comments_do_not_count() -> None:
    assert len(parse(b"data: 12345\n\n" * 50, limit=20)) == 50
    assert parse(*[b": keep-alive\n"] * 50, b"data: 1\n\n", limit=20) == [(None, b"1")]
