"""One connection: requests as bytes out, answers parsed and handed to their attempt.

The one rule: a connection serves again only when its last answer ended exactly where HTTP says, with nothing after it.
Code here runs for every segment that a provider sends, so it avoids calls that a flag can save.
"""

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from portbroker.upstream.attempt import HttpAttempt
from portbroker.upstream.faults import WireFault, broken_off, fault
from portbroker.upstream.head import answer_headers
from portbroker.upstream.inflate import Inflater

if TYPE_CHECKING:
    from portbroker.upstream.pool import Pool

_JOIN = 64 * 1024  # above this, two buffers cost less than one joined copy


class Connection(asyncio.Protocol):
    """A connection to an origin, serving one attempt at a time."""

    transport: asyncio.Transport

    def __init__(self, pool: "Pool") -> None:
        self.idle_since = 0.0
        self._pool = pool
        self._limits = pool.limits
        self._loop = pool.loop
        self._attempt: HttpAttempt | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # the parser calls it: straight into the list, no Python in between
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._inflater: Inflater | None = None
        self._reused = False
        self._clear()

    def _clear(self) -> None:
        """Expect a new answer."""
        self._received = 0  # bytes of this answer
        self._barren = 0  # bytes since the last that was body
        self._head_ready = False
        self._flowing = False  # the head was handed over, and what follows is the body as it is
        self._interim = False
        self._complete = False
        self._fields.clear()
        self._surplus = False
        self._reusable = False
        self._until_eof = False

    # What attempt and pool call

    def begin(self, attempt: HttpAttempt) -> None:
        """Write a request; what comes next on this connection belongs to this attempt."""
        self._attempt = attempt
        attempt.start(self)
        body = attempt.request.body
        if len(body) > _JOIN:
            self.transport.writelines((attempt.wire, body))
        else:
            self.transport.write(attempt.wire + body)
        if attempt.paused:
            self.pause()

    def pause(self) -> None:
        """Read no more. (uvloop raises when it is told so of a closed connection; asyncio does not.)"""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Close at once, with whatever is under way."""
        self._attempt = None
        self.transport.abort()

    def stop(self) -> None:
        """The transport is closing."""
        attempt = self._attempt
        self.abort()
        if attempt is not None:
            attempt.stop()

    def watch(self, due: float) -> None:
        """Look at the attempt when it is due. An alarm that rings too early costs less than one set anew each time."""
        alarm = self._alarm
        if alarm is None or alarm.when() > due:
            if alarm is not None:
                alarm.cancel()
            self._alarm = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        attempt = self._attempt
        if attempt is None:
            return
        due = attempt.due()
        if self._loop.time() >= due:
            self.abort()
            attempt.fail(attempt.late())
        else:
            self.watch(due)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has its methods, but not its type

    def data_received(self, data: bytes) -> None:
        attempt = self._attempt
        if attempt is None:
            self.transport.abort()  # nobody asked for this: it must not become the answer to the next request
            return
        self._received += len(data)
        if self._received > self._limits.body_bytes:
            self._break(attempt, f"sent an answer larger than {self._limits.body_bytes} bytes")
            return
        try:
            self._parser.feed_data(data)
            pieces = self._pieces
            if self._flowing and len(pieces) == 1 and not self._complete and attempt.sink is not None:
                self._barren = 0
                attempt.sink.data(pieces.pop())  # as nearly every segment of a stream: more of a body, and no more
            else:
                self._deliver(attempt, len(data))
        except httptools.HttpParserUpgrade:
            self._break(attempt, "wants to change to another protocol")
        except httptools.HttpParserError as error:
            self._break(attempt, f"sent an answer that is not HTTP ({error})")
        except WireFault as error:
            self._break(attempt, str(error))
        except Exception as bug:  # whatever a sink does, the connections of others go on
            self._blame(attempt, bug)

    def eof_received(self) -> None:
        self.transport.abort()  # nothing more can come; closing softly would wait for a body that nobody reads

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        attempt, self._attempt = self._attempt, None
        stale = None
        if attempt is not None:
            if self._reused and not self._received and not attempt.retried:
                stale = attempt
            else:
                self._conclude(attempt, exc)
        self._pool.lost(self, stale)

    # What the parser calls

    def on_message_begin(self) -> None:
        self._surplus = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        if 100 <= self._status < 200:
            self._interim = True
            self._fields.clear()
        else:
            self._head_ready = True
            self._head, self._fields = self._fields, []  # fields from here on are trailers
            self._reusable = self._parser.should_keep_alive()  # true only here: the parser forgets it at the end

    def on_message_complete(self) -> None:
        self._complete = not self._interim
        self._interim = False

    # Handing over

    def _deliver(self, attempt: HttpAttempt, size: int) -> None:
        """Give the sink what the parser made of one segment, in one piece."""
        if self._surplus:
            raise WireFault("sent more than one answer")
        if self._head_ready:
            self._head_ready = False
            if not 200 <= self._status <= 599:
                raise WireFault(f"sent an answer that is not HTTP (status {self._status})")
            attempt.answered(self._status, self._headers())
            if not self._complete:
                self._flowing = self._inflater is None
                self.watch(attempt.due())
        if self._pieces:
            self._barren = 0
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            if self._inflater is not None:
                self._inflate(body, attempt)
            elif attempt.sink is not None:
                attempt.sink.data(body)
        else:
            self._barren += size
            if self._barren > self._limits.head_bytes:
                raise WireFault(f"sent a head larger than {self._limits.head_bytes} bytes")
        if self._complete and self._attempt is attempt:
            self._finish(attempt)

    def _inflate(self, body: bytes, attempt: HttpAttempt) -> None:
        assert self._inflater is not None
        for plain in self._inflater.feed(body):
            if attempt.sink is None:
                return
            attempt.sink.data(plain)

    def _headers(self) -> dict[str, str]:
        """The head of the answer by name; sets what it says about the body."""
        headers = answer_headers(self._head, self._received, self._limits)
        if not self._reusable:
            self._until_eof = not ("content-length" in headers or "transfer-encoding" in headers)
        if "content-encoding" in headers:
            self._decode(headers)
        return headers

    def _decode(self, headers: dict[str, str]) -> None:
        """Make the answer one that was never compressed."""
        encoding = headers.pop("content-encoding").lower()
        if encoding not in ("", "identity"):
            headers.pop("content-length", None)
            self._inflater = Inflater(encoding, self._limits)

    # How it ends

    def _finish(self, attempt: HttpAttempt) -> None:
        """The answer is whole. The connection goes back first, so that the sink's next request can have it."""
        if self._inflater is not None:
            self._inflater.finish()
            self._inflater = None
        sink = attempt.leave()
        self._attempt = None
        self._reused = True
        if attempt.paused:
            self.resume()
        # An answer before the end of the upload leaves the rest of that in the way.
        if self._reusable and not self.transport.get_write_buffer_size():
            self._clear()
            self._pool.release(self)
        else:
            self.transport.abort()
        if sink is not None:
            sink.end()

    def _conclude(self, attempt: HttpAttempt, exc: Exception | None) -> None:
        """The connection ended under an attempt: well only where the end of the connection is that of the body."""
        try:
            if self._until_eof and exc is None:
                self._complete = True
                self._reusable = False
                self._finish(attempt)
            else:
                attempt.fail(broken_off(attempt.request, begun=attempt.begun, error=exc))
        except WireFault as error:
            attempt.fail(fault(attempt.request, str(error)))
        except Exception as bug:  # as in data_received
            self._blame(attempt, bug)

    def _break(self, attempt: HttpAttempt, what: str) -> None:
        """The answer cannot be used, and nothing that follows on this connection can be trusted."""
        self.abort()
        attempt.fail(fault(attempt.request, what))

    def _blame(self, attempt: HttpAttempt, bug: Exception) -> None:
        """A sink raised. It is still told of an end, so that its client is not left waiting."""
        if self._attempt is attempt:
            self.abort()
        attempt.report(bug)
        attempt.fail(fault(attempt.request, "sent an answer that the gateway failed to handle"))
