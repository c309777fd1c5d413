"""What providers do wrong on the wire, by the fault's name: tables for whole calls through a gateway.

The one rule: a script does the same whoever speaks; what depends on the dialect is made of a sound answer in it.
"""

import asyncio
import gzip
import json
import re
from collections.abc import Callable

from portbroker.conversation import Json
from portbroker.dialects.registry import DIALECTS
from portbroker.mock import answers
from portbroker.mock.answers import Asked
from tests.wire_providers import LAST, STREAM, Script, Wire, chunk, response, says

SECRET = "sk-secret-0123456789abcdef"
SAID = "That is all."
"""How every sound answer ends."""


async def _nothing(wire: Wire) -> None:
    await wire.request()
    await wire.gone()


async def _before_the_body(wire: Wire) -> None:
    await wire.reader.readuntil(b"\r\n\r\n")
    await wire.send(response(b'{"error":{"message":"busy"}}', "503 Service Unavailable"))


async def _never_reads(wire: Wire) -> None:
    wire.reset()


async def _drip_of_a_head(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-")
    await wire.gone()


async def _endless(wire: Wire) -> None:
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await wire.send(chunk(b" " * 100_000))


def limited(retry_after: str) -> Script:
    """Too many requests; come again then."""
    headers = f"retry-after: {retry_after}\r\n".encode()
    return says(response(b'{"error":{"message":"slow down"}}', "429 Too Many Requests", headers=headers))


_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
_BOMB = gzip.compress(b" " * 30_000_000, 1)
_ERROR_200 = b'{"error":{"message":"overloaded, key %s","type":"x"}}' % SECRET.encode()

WORTHLESS: dict[str, tuple[Script, int]] = {
    "U2-no-answer": (_nothing, 504),
    "U2-half-a-head": (_drip_of_a_head, 504),
    "U3-closed-at-once": (_never_reads, 502),
    "U3-closed-after-the-request": (says(b""), 502),
    "U3-reset-in-the-head": (says(b"HTTP/1.1 200 OK\r\ncontent-ty", then="reset"), 502),
    "U4-reset-in-the-body": (says(response(b'{"choices": [{"mess', length=500), then="reset"), 502),
    "U4-closed-in-the-body": (says(response(b'{"choices": [{"mess', length=500)), 502),
    "U4-closed-in-a-chunk": (says(STREAM, b"ff\r\nabc"), 502),
    "U8-garbage": (says(b"\x00\x01\x02 hello\r\n\r\n"), 502),
    "U8-ssh": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), 502),
    "U8-two-lengths": (says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}"), 502),
    "U8-length-and-chunks": (
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), 502),
    "U8-bad-chunk": (says(STREAM, b"zz\r\nabc\r\n"), 502),
    "U8-switching": (says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), 502),
    "U8-status-999": (says(response(b"{}", "999 What")), 502),
    "U9-huge-head": (says(b"HTTP/1.1 200 OK\r\n", *[b"x-%d: %b\r\n" % (i, b"a" * 4000) for i in range(40)]), 502),
    "U9-many-headers": (says(b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 3000 + b"\r\n"), 502),
    "U11-bomb": (says(response(_BOMB, headers=b"content-encoding: gzip\r\n")), 502),
    "U11-cut": (says(response(gzip.compress(b"{}" * 99)[:-9], headers=b"content-encoding: gzip\r\n")), 502),
    "U11-lying": (says(response(b"{}", headers=b"content-encoding: gzip\r\n")), 502),
    "U11-unknown": (says(response(b"{}", headers=b"content-encoding: br\r\n")), 502),
    "U13-html": (says(response(_HTML, kind="text/html")), 502),
    "U13-html-called-json": (says(response(_HTML)), 502),
    "U13-empty": (says(response(b"")), 502),
    "U13-null": (says(response(b"null")), 502),
    "U13-list": (says(response(b"[]")), 502),
    "U13-number": (says(response(b"5")), 502),
    "U13-text": (says(response(b'"hello"')), 502),
    "U13-object": (says(response(b"{}")), 502),
    "U13-nested": (says(response(b"[" * 200_000)), 502),
    "U13-not-utf-8": (says(response(b'{"choices": "\xff\xfe"}')), 502),
    "U13-no-content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), 502),
    "U13-error": (says(response(_ERROR_200)), 529),
    "U14-redirect": (says(response(b"", "307 Temporary Redirect", headers=b"location: http://127.0.0.1:9/\r\n")), 502),
    "U14-moved": (says(response(b"", "301 Moved Permanently", headers=b"location: /elsewhere\r\n")), 502),
    "U17-early": (_before_the_body, 529),
    "U10-endless": (_endless, 502),
    "U16-seconds": (limited("7"), 429),
    "U16-date": (limited("Fri, 31 Dec 1999 23:59:59 GMT"), 429),
    "U16-negative": (limited("-5"), 429),
    "U16-huge": (limited("9" * 2000), 429),
    "500": (says(response(b"oops", "500 Internal Server Error", "text/plain")), 500),
    "503-html": (says(response(_HTML, "503 Service Unavailable", "text/html")), 529),
    "401-echo": (
        says(response(b'{"error":{"message":"bad key %b","code":"invalid_api_key"}}' % SECRET.encode(),
                      "401 Unauthorized", headers=b"x-request-id: %b\r\nset-cookie: a=b\r\n" % SECRET.encode())), 502),
}  # fmt: skip

AFTER_CONTENT: dict[str, tuple[bytes, str]] = {
    "U5-reset": (b"", "reset"),
    "U5-closed": (b"", "close"),
    "U5-ended": (LAST, "hang"),
    "U8-bad-chunk": (b"zz\r\n", "hang"),
    "U8-not-json": (chunk(b"data: <html>\n\n" * 3), "hang"),
    "U12-huge-event": (chunk(b"data: " + b"x" * 10_000_000), "hang"),
    "U12-not-utf-8": (chunk(b'data: {"a": "\xff"}\n\n' * 3), "hang"),
    "U12-nested": (chunk(b"data: " + b"[" * 100_000 + b"\n\n") * 3, "hang"),
    "U6-silence": (b"", "hang"),
    "U6-comments": (chunk(b": still here\n\n"), "hang"),
    "U12-error": (
        chunk(b'data: {"type":"error","error":{"type":"api_error","message":"no %b"}}\n\n' % b"more"),
        "hang",
    ),
}
"""What comes after the first words of a stream, and how it goes on."""


def breaking(fault: str, speaks: str, *, in_event: bool) -> Script:
    """A stream that breaks after its first words, between two events or in the midst of one."""
    pieces, then = AFTER_CONTENT[fault]
    told = list(answers.pieces(asked_in(speaks), tool=False))
    begun = b"".join(told[:-6])
    if in_event and b"data" not in pieces[:20]:
        begun += told[-6][:-9]
    return says(STREAM, chunk(begun), pieces, then=then)


def wordless(speaks: str) -> Script:
    """A stream that breaks when all is said that comes before its first word."""
    told = b"".join(answers.pieces(asked_in(speaks), tool=False))
    begun = told[: told.rindex(b"\n\n", 0, told.index(b"Mock")) + 2]
    return says(STREAM, chunk(begun), then="reset")


def asked_in(speaks: str, body: Json | None = None) -> Asked:
    """A call that a provider of this dialect gets; `body` says whether for a stream."""
    prompt = {"role": "user", "content": "hi"}
    asking = {"model": "m", "max_tokens": 9, "messages": [prompt], "input": [prompt], "stream": True}
    usage = {"stream_options": {"include_usage": True}} if speaks == "openai.chat" else {}
    return answers.read(DIALECTS[speaks], json.dumps(body or {**asking, **usage}).encode(), 1, "sound")


def good(raw: bytes, speaks: str) -> tuple[bytes, str]:
    """A sound answer to this request, and its content type."""
    asked = asked_in(speaks, json.loads(raw.partition(b"\r\n\r\n")[2]))
    if asked.conversation.stream:
        return b"".join(answers.pieces(asked, tool=False)), "text/event-stream"
    return answers.whole(asked, tool=False), "application/json"


Harmless = Callable[[str], Script]


def changed(change: Callable[[bytes], bytes]) -> Harmless:
    """A provider whose answers are sound but for this change."""

    def spoken(speaks: str) -> Script:
        async def script(wire: Wire) -> None:
            while True:
                body, kind = good(await wire.request(), speaks)
                await wire.send(response(change(body) if kind != "application/json" else body, kind=kind))

        return script

    return spoken


def counted(count: str) -> Harmless:
    """A provider with senseless figures for what was used."""

    def spoken(speaks: str) -> Script:
        async def script(wire: Wire) -> None:
            while True:
                body, kind = good(await wire.request(), speaks)
                await wire.send(response(re.sub(rb'("\w*tokens"):\d+', rb"\1:" + count.encode(), body), kind=kind))

        return script

    return spoken


def _in_pieces(speaks: str) -> Script:
    async def script(wire: Wire) -> None:
        while True:
            body, kind = good(await wire.request(), speaks)
            if kind == "application/json":
                await wire.send(response(body))
            else:
                await wire.send(STREAM, *(chunk(body[at : at + 1]) for at in range(len(body))), LAST)

    return script


def _with_a_pause(speaks: str) -> Script:
    async def script(wire: Wire) -> None:
        while True:
            body, kind = good(await wire.request(), speaks)
            whole = response(body, kind=kind)
            half = whole.rfind(b"\n\n", 0, -1000) + 2  # between two events
            await wire.send(whole[:half])
            await asyncio.sleep(0.1)  # the silence itself
            await wire.send(whole[half:])

    return script


def _stale(speaks: str) -> Script:
    async def script(wire: Wire) -> None:
        body, kind = good(await wire.request(), speaks)
        await wire.send(response(body, kind=kind))
        await wire.reader.readuntil(b"\r\n\r\n")  # the next call comes, and the connection is cut
        wire.reset()

    return script


HARMLESS: dict[str, Harmless] = {
    "sound": changed(lambda body: body),
    "U7-silence": _with_a_pause,
    "U12-every-byte": _in_pieces,
    "U12-crlf": changed(lambda body: body.replace(b"\n", b"\r\n")),
    "U12-cr": changed(lambda body: body.replace(b"\n", b"\r")),
    "U12-bom": changed(lambda body: b"\xef\xbb\xbf" + body),
    "U12-no-last-line": changed(lambda body: body.rstrip()),
    "U18-negative": counted("-5"),
    "U18-huge": counted("1e300"),
    "U18-float": counted("2.5"),
    "U18-null": counted("null"),
    "U19-stale": _stale,
}
"""What must be neither seen nor cost an attempt."""
