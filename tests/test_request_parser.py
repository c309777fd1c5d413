"""Bytes to requests, in whatever pieces they come."""

import asyncio
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portbroker.request import BodyError, Client, Request
from portbroker.request_parser import LONGEST, MOST_HEADERS, RequestParser

NOBODY = cast(Client, None)
BODY = b'{"model": "m"}'


def post(headers: bytes = b"content-length: 14\r\n", body: bytes = BODY) -> bytes:
    return b"POST /v1/messages?x=1 HTTP/1.1\r\nhost: localhost\r\n" + headers + b"\r\n" + body


def parsed(*pieces: bytes) -> tuple[list[Request], RequestParser]:
    parser = RequestParser(NOBODY, 1000)
    return [request for piece in pieces for request in parser.feed(piece)], parser


def only(*pieces: bytes) -> Request:
    requests, parser = parsed(*pieces)
    assert parser.fault is None
    (request,) = requests
    return request


def fault(*pieces: bytes) -> str:
    requests, parser = parsed(*pieces)
    assert requests == []
    assert parser.fault is not None
    return f"{parser.fault.status}: {parser.fault}"


CHUNKED = post(b"Transfer-Encoding: chunked\r\n", b"5\r\n" + BODY[:5] + b"\r\n9;x=y\r\n" + BODY[5:] + b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("data", [post(), CHUNKED], ids=["length", "chunks"])
def test_a_request_cut_at_any_byte_is_the_same(data: bytes) -> None:
    whole = only(data)
    assert (whole.method, whole.raw_path, whole.query) == ("POST", "/v1/messages?x=1", {"x": "1"})
    for cut in range(1, len(data)):
        request = only(data[:cut], data[cut:])
        assert request.complete
        assert (request.headers, request.length, request.keep_alive) == (whole.headers, whole.length, True)
        assert request.taken() == BODY
    one_by_one = only(*[data[i : i + 1] for i in range(len(data))])
    assert one_by_one.taken() == BODY
    assert one_by_one.headers == whole.headers


KINDS = st.sampled_from([post(), CHUNKED, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\r\n" + post()])


@settings(max_examples=200)
@given(st.lists(KINDS, min_size=1, max_size=6), st.data())
def test_requests_in_a_row_are_the_same_however_they_are_cut(kinds: list[bytes], draw: Any) -> None:
    data = b"".join(kinds)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    ends = [0, *cuts, len(data)]
    requests, parser = parsed(*[data[a:b] for a, b in pairwise(ends)])
    assert parser.fault is None
    assert [request.taken() for request in requests] == [b"" if kind.startswith(b"GET") else BODY for kind in kinds]
    assert all(request.complete for request in requests)


def test_headers_are_in_lower_case_without_blanks_and_several_are_one() -> None:
    request = only(post(b"X-A:  1 \t\r\nx-a:2\r\nX-Empty:\r\nx-other: \r\ncontent-length: 14\r\n"))
    assert request.headers["x-a"] == "1, 2"
    assert (request.headers["x-empty"], request.headers["x-other"]) == ("", "")


def test_bytes_of_a_header_that_are_no_text_survive() -> None:
    request = only(post(b"x-a: \xc3\xa9\xff\r\ncontent-length: 14\r\n"))
    assert request.headers["x-a"].encode("utf-8", "surrogateescape") == b"\xc3\xa9\xff"


def test_trailers_are_headers_of_no_request() -> None:
    data = post(b"transfer-encoding: chunked\r\n", b"0\r\nauthorization: evil\r\n\r\n") + post()
    requests, _ = parsed(data)
    assert [request.headers.get("authorization") for request in requests] == [None, None]


@pytest.mark.parametrize(("version", "connection", "kept"), [
    (b"1.1", b"", True), (b"1.1", b"connection: close\r\n", False), (b"1.1", b"Connection: Close, x\r\n", False),
    (b"1.0", b"", False), (b"1.0", b"connection: keep-alive\r\n", True),
])  # fmt: skip
def test_whether_the_connection_stays_open_is_as_http_says(version: bytes, connection: bytes, kept: bool) -> None:
    request = only(b"GET / HTTP/" + version + b"\r\nhost: a\r\n" + connection + b"\r\n")
    assert request.keep_alive is kept
    assert request.chunks is (version == b"1.1")


def test_what_follows_the_last_request_is_not_looked_at() -> None:
    parser = RequestParser(NOBODY, 1000)
    (request,) = parser.feed(post(b"connection: close\r\ncontent-length: 14\r\n") + b"\r\nGET")
    assert request.taken() == BODY
    assert parser.feed(post()) == []
    assert parser.fault is None


@pytest.mark.parametrize("cut", [None, 60, 120], ids=str)
def test_a_wish_to_upgrade_is_heard_and_its_body_read(cut: int | None) -> None:
    wish = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP\r\n"
    data = post(wish + b"content-length: 14\r\n") + CHUNKED.replace(b"\r\nhost", b"\r\nupgrade: h2c\r\nhost") + post()
    requests, parser = parsed(data) if cut is None else parsed(data[:cut], data[cut:])
    assert parser.fault is None
    assert [request.taken() for request in requests] == [BODY] * 3
    assert [request.headers.get("upgrade") for request in requests] == ["h2c", "h2c", None]


def test_a_tunnel_has_no_body_and_is_not_opened() -> None:
    requests, parser = parsed(b"CONNECT evil.example:443 HTTP/1.1\r\nhost: a\r\n\r\n" + post())
    assert [request.method for request in requests] == ["CONNECT", "POST"]
    assert parser.fault is None


@pytest.mark.parametrize("data", [
    post(b"transfer-encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    post(b"transfer-encoding: chunked\r\n", b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    post().replace(b"HTTP/1.1", b"HTTP/2.0"),
    post().replace(b"HTTP/1.1", b"HTTP/0.9"),
], ids=["coding", "chunks-in-1.0", "2.0", "0.9"])  # fmt: skip
def test_what_readers_could_understand_differently_is_refused(data: bytes) -> None:
    assert fault(data).startswith("400: ")
    assert fault(*[data[i : i + 1] for i in range(len(data))]).startswith("400: ")


def test_a_head_has_bounds() -> None:
    assert fault(post(b"x: " + b"a" * LONGEST + b"\r\n")).startswith("431: ")
    assert fault(post(b"x: a\r\n" * (MOST_HEADERS + 1))).startswith("431: ")
    assert fault(b"GET /" + b"a" * LONGEST + b" HTTP/1.1\r\n").startswith("431: ")
    assert fault(b"GET / HTTP/1.1\r\nx: ", *[b"a" * 10_000] * 30).startswith("431: ")


def test_trailers_have_bounds() -> None:
    requests, parser = parsed(post(b"transfer-encoding: chunked\r\n", b"0\r\nx: "), *[b"a" * 10_000] * 30)
    assert parser.fault is not None
    assert not requests[0].complete


async def test_a_body_is_waited_for_and_told_when_it_breaks() -> None:
    parser = RequestParser(NOBODY, 1000)
    (request,) = parser.feed(post(b"transfer-encoding: chunked\r\n", b"5\r\nabcde\r\n"))
    assert await request.more() == b"abcde"
    waiting = asyncio.create_task(request.more())
    await asyncio.sleep(0)
    assert parser.feed(b"2\r\nfg\r\n") == []
    assert await waiting == b"fg"
    waiting = asyncio.create_task(request.more())
    await asyncio.sleep(0)
    parser.feed(b"zz\r\n")
    assert parser.fault is not None
    with pytest.raises(BodyError):
        await waiting


async def test_a_body_ends_with_nothing() -> None:
    request = only(post())
    assert await request.more() == BODY
    assert await request.more() == b""
