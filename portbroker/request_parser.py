"""Bytes of one client to its requests. httptools reads them; what it lets pass and others may not is refused here.

The one rule: what two readers could understand differently is no request.
"""

from functools import lru_cache

import httptools

from portbroker.request import Client, Request

LONGEST = 8190
"""Bytes of a path, and of a header."""
MOST_HEADERS = 128
_LONGEST_HEAD = 256 * 1024
_VERSIONS = {"1.1": True, "1.0": False}


class NotHttp(Exception):
    """What came is no request; the text says why, without the bytes: they may hold a credential."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


class RequestParser:
    """Gives each request as soon as its head is complete; its body follows, with whatever comes later.

    `fault` is what was no request: there is nothing more to be read on this connection.
    """

    def __init__(self, client: Client, max_body: int) -> None:
        self.fault: NotHttp | None = None
        self._client = client
        self._max_body = max_body
        self._heard: list[Request] = []
        self._path = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # the parser calls it: straight into the list, no Python in between
        self._parser = httptools.HttpRequestParser(self)
        self._coming: Request | None = None  # its body is
        self._barren = -1  # bytes without an end of the head, or any body, but for the segment where that began
        self._wished: list[tuple[bytes, bytes]] | None = None  # the headers of who wants to upgrade
        self._last = False  # the client has said that nothing follows

    def feed(self, data: bytes) -> list[Request]:
        """The requests that began with what came. One that breaks off at once was none."""
        heard: list[Request] = []
        self._heard = heard
        rest: bytes | None = data
        while rest is not None:
            rest = self._parse(rest)
        if self._coming is not None or self._path:
            self._take_stock(len(data))
        return heard

    def _parse(self, data: bytes) -> bytes | None:
        """What is still to be parsed."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Not here: what follows is HTTP as before. But the parser has let a body go by as if it were not.
            return self._asked_without() + data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            if not self._last:
                self._break(error)
        return None

    def _take_stock(self, size: int) -> None:
        """Something is not complete: hand on what there is of a body; no head is endless, and no trailers are."""
        if self._coming is not None and self._pieces:
            self._coming.feed(self._pieces)
            self._pieces.clear()
            self._barren = -1
        else:
            self._barren += size if self._barren >= 0 else 1
            if self._barren > _LONGEST_HEAD:
                self._break(NotHttp("its head does not end", 431))

    def close(self) -> None:
        """Let go of the parser, which holds this: a body of megabytes must not wait for the garbage collector."""
        del self._parser

    def _asked_without(self) -> bytes:
        """The last head without the wish to upgrade."""
        if self._wished is None:
            return b""
        version = self._parser.get_http_version().encode()
        line = b"%b %b HTTP/%b\r\n" % (self._parser.get_method(), self._path, version)
        fields = [b"%b: %b\r\n" % field for field in self._wished if field[0].lower() != b"upgrade"]
        self._path = b""
        return line + b"".join(fields) + b"\r\n"

    def _break(self, error: Exception) -> None:
        told = error if isinstance(error, NotHttp) else error.__context__
        self.fault = told if isinstance(told, NotHttp) else NotHttp(str(error))
        if self._coming in self._heard:
            self._heard.remove(self._coming)
        elif self._coming is not None:
            self._coming.break_off()
        self._coming = None

    # what the parser calls

    def on_url(self, path: bytes) -> None:
        self._path += path
        if len(self._path) > LONGEST:
            raise _too_long()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self._last:
            return
        if self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT":
            self._wished = self._fields.copy()
            return
        self._coming = request = self._request(self._wished or self._fields)
        self._path = b""
        self._fields.clear()
        self._wished = None
        self._barren = -1
        self._heard.append(request)

    def _request(self, fields: list[tuple[bytes, bytes]]) -> Request:
        parser = self._parser
        chunks = _VERSIONS.get(parser.get_http_version())
        if chunks is None:
            raise NotHttp("its version is neither HTTP/1.1 nor HTTP/1.0")
        if not self._path.isascii():
            raise NotHttp("its path is not ASCII")
        headers = _by_name(fields)
        if chunks and "host" not in headers:
            raise NotHttp("it has no Host")
        if "transfer-encoding" in headers and not (chunks and headers["transfer-encoding"].lower() == "chunked"):
            raise NotHttp("its transfer-encoding is not known here")
        request = Request(self._client, parser.get_method().decode("ascii"), self._path.decode("ascii"), headers)
        if "content-length" in headers:
            request.length = int(headers["content-length"])
        request.chunks = chunks
        request.keep_alive = parser.should_keep_alive()  # true only here: the parser forgets it at the end
        request.max_body = self._max_body
        return request

    def on_message_complete(self) -> None:
        request, self._coming = self._coming, None
        self._fields.clear()  # trailers
        if request is not None:
            request.end(self._pieces)
            self._pieces.clear()
            self._last = not request.keep_alive


def _by_name(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    if len(fields) > MOST_HEADERS:
        raise NotHttp(f"it has more than {MOST_HEADERS} headers", 431)
    headers: dict[str, str] = {}
    for field, value in fields:
        if len(field) + len(value) > LONGEST:
            raise _too_long()
        name = _lowered(field)
        text = str(value, "utf-8", "surrogateescape").strip()
        if name in headers:
            if name == "host":
                raise NotHttp("it has more than one Host")
            text = f"{headers[name]}, {text}"
        headers[name] = text
    return headers


@lru_cache(maxsize=1024)
def _lowered(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _too_long() -> NotHttp:
    return NotHttp(f"the request line or a header is longer than {LONGEST} bytes", 431)
