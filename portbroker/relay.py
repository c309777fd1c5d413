"""One attempt's answer on its way to the client: the sink that the transport pushes into.

Until something of the answer is known to be good, nothing goes out, and a failure is the gateway's to hide by trying
elsewhere. From then on every segment that arrives is translated and written in the same breath, and a failure is told
in the client's dialect. The one rule: no task wakes for a segment; the gateway's task sleeps until the end, or until a
slow client has caught up.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from math import inf

from portbroker.dialects.faults import read_error_response
from portbroker.errors import ProviderError
from portbroker.redaction import reveals
from portbroker.translate import Answering
from portbroker.upstream import Attempt
from portbroker.wire import Reply

log = logging.getLogger("portbroker.relay")

PING_AFTER = 15.0
"""Seconds of silence after which the client hears that its answer is still coming."""
END_AFTER = 5.0
"""Seconds to wait for usage after the provider has named a finish reason."""
ERROR_LIMIT = 1024 * 1024
WHOLE_LIMIT = 64 * 1024 * 1024
"""Bytes that an answer may have when it must be read as a whole."""


class Relay:
    """The answer of one attempt. Await `opened`, then `deliver` it.

    `opened` resolves when the answer is good: with the whole body of an answer that is not streamed, with b"" when a
    stream has begun to speak. It raises the `ProviderError` that kept the answer from coming. `last` says that nobody
    else could answer, so that a client need not be kept in the dark for the sake of trying elsewhere. `first_byte` are
    the seconds, from the sending of the request, in which a stream must begin to speak.
    """

    def __init__(
        self, answering: Answering, *, stream: bool, provider: str, first_byte: float = inf, last: bool = True
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.answering = answering
        self.opened: asyncio.Future[bytes] = self._loop.create_future()
        self.attempt: Attempt | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.error: ProviderError | None = None
        self._stream = stream
        self._provider = provider
        self._last = last
        self._first_byte = first_byte
        self._due = inf
        self._streaming = False
        self._body = bytearray()  # of a stream: what is held back
        self._pieces: list[bytes] = []  # of an answer that is read as a whole
        self._size = 0
        self._reply: Reply | None = None
        self._ended = False
        self._broken = False
        self._finishing = False
        self._wake: asyncio.Future[None] | None = None
        self._heard = self._loop.time()
        self._events = 0
        self._timer: asyncio.TimerHandle | None = None

    # what the transport calls

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        secrets = self.answering.reading.asked.target.secrets
        self.status = status
        if reveals("\n".join(headers.values()), secrets):  # all at once first: it hardly ever is so
            headers = {n: v for n, v in headers.items() if not reveals(v, secrets)}
        self.headers = headers
        kind = headers.get("content-type", "")
        self._streaming = self._stream and 200 <= status < 300 and "json" not in kind and "html" not in kind
        if self._streaming:
            sent_at = self.attempt.sent_at if self.attempt is not None else self._heard
            self._due = sent_at + self._first_byte
            self._wait(min(PING_AFTER, self._due - self._loop.time()), self._tick)

    def data(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            self._take(data)
        except ProviderError as error:
            self._fail(error)
            self.cancel()
        except Exception:
            self._fault()

    def end(self) -> None:
        self._disarm()
        if self._ended:
            return
        try:
            self._close()
        except ProviderError as error:
            self._fail(error)
        except Exception:
            self._fault()

    def fail(self, error: ProviderError) -> None:
        self._disarm()
        if self._ended:
            return
        if self._streaming and self.answering.reading.decoder.finishing:
            self.end()  # the answer was complete; only usage could have followed
        else:
            self._fail(error)

    # what arrives

    def _take(self, data: bytes) -> None:
        reply, more = self._reply, self.answering.more
        if more is not None and reply is not None and (out := more(data)) is not None:
            # As nearly every segment of a stream: nothing has ended, failed or begun.
            self._heard = self._loop.time()
            if self.attempt is not None:
                self.attempt.progress()
            if out:
                self._write(out)
            return
        if not self._streaming:
            self._keep(data)
            return
        out = self.answering.feed(data)
        reading = self.answering.reading
        if reading.events != self._events:
            self._events = reading.events
            self._heard = self._loop.time()
            if self.attempt is not None:
                self.attempt.progress()
        if self._reply is not None:
            if out:
                self._write(out)
        else:
            self._hold(out)
        self._raise_fault()
        if self.answering.over or self.answering.told:
            self._finish()
            self._dismiss()
        elif reading.decoder.finishing and not self._finishing:
            self._finishing = True
            self._wait(END_AFTER, self._end_without_usage)

    def _raise_fault(self) -> None:
        """Raises what went wrong with the stream, unless the client has read of it already."""
        answering = self.answering
        if answering.fault is not None and not answering.told:
            raise answering.fault

    def _keep(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self.attempt is not None:
            self.attempt.progress()
        if self._size > (WHOLE_LIMIT if self.status < 300 else ERROR_LIMIT):
            raise ProviderError(f"{self._provider} sent an answer larger than the gateway reads", status=self.status)

    def _hold(self, out: bytes) -> None:
        self._body += out
        if self.answering.content and not self.opened.done():
            self.opened.set_result(b"")

    def _write(self, out: bytes) -> None:
        reply = self._reply
        assert reply is not None
        reply.write(out)
        if reply.full and self.attempt is not None:
            self.attempt.pause()
            self._rouse()

    # how it ends

    def _close(self) -> None:
        """The provider's body is complete."""
        if not 200 <= self.status < 300:
            raise self._error_response()
        if self._streaming:
            out = self.answering.end()
            if self._reply is not None and out:
                self._write(out)
            else:
                self._hold(out)
            out = b""
            self._raise_fault()
            self._refuse_silence()
        else:
            body = self._whole()
            out = self.answering.unstreamed(body) if self._stream else self.answering.whole(body)
        self._finish(out)

    def _error_response(self) -> ProviderError:
        target = self.answering.reading.asked.target
        return read_error_response(
            self.status,
            self.headers,
            self._whole(),
            self._provider,
            classify=target.fieldmap.errors,
            secrets=target.secrets,
            callers_credential=target.provider.pass_client_credentials,
        )

    def _whole(self) -> bytes:
        """The body; of one piece, as nearly always, without a copy."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        return body

    def _refuse_silence(self) -> None:
        """Raises for a stream that ended without an answer: neither content nor a reason to stop."""
        if not self.answering.content and not self.answering.reading.decoder.finishing:
            raise ProviderError(f"{self._provider} ended its stream without an answer", status=self.status)

    def _dismiss(self) -> None:
        """All was said; a provider that does not end its body now is not waited for, and nothing of it is kept."""
        if self.attempt is not None:
            self.attempt.resume()
            self._wait(END_AFTER, self.cancel)

    def _finish(self, out: bytes = b"") -> None:
        self._ended = True
        self._disarm()
        self.error = self.answering.fault
        if self._reply is not None:
            self._reply.finish(out)
        else:
            if self._stream:
                self._body += out
            if not self.opened.done():
                self.opened.set_result(b"" if self._stream else out)
        self._rouse()

    def _fail(self, error: ProviderError) -> None:
        self._ended = True
        self._disarm()
        self.error = error
        error.provider = error.provider or self._provider
        if not self.opened.done():
            self.opened.set_exception(error)
        elif (last := self.answering.fail(error)) is None:
            self._broken = True
            if self._reply is not None:
                self._reply.break_off()
        elif self._reply is not None:
            self._reply.finish(last)
        else:
            self._body += last
        self._rouse()

    def _fault(self) -> None:
        """A fault of ours in the middle of an answer: the call must end all the same, so it is caught here."""
        log.exception("the answer of %s could not be translated", self._provider)
        self._fail(ProviderError("the gateway could not translate the provider's answer"))
        self.cancel()

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come. The transport may still be reading the end of the body."""
        return self._ended

    def cancel(self) -> None:
        """Nobody wants the rest: close the connection."""
        self._ended = True
        self._disarm()
        if self.attempt is not None:
            self.attempt.cancel()

    # silence

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        """The provider may have been silent for long; events do not move the timer, because there are many."""
        now = self._loop.time()
        if not self.opened.done() and now >= self._due:
            self._fail(ProviderError(f"{self._provider} said nothing within {self._first_byte:g} s", kind="timeout"))
            self.cancel()
            return
        wait = PING_AFTER - (now - self._heard)
        if wait <= 0:
            self._ping()
            wait = PING_AFTER
        self._wait(wait if self.opened.done() else min(wait, self._due - now), self._tick)

    def _end_without_usage(self) -> None:
        """The provider named its finish reason, and neither usage nor the end came."""
        if self._reply is not None and self._reply.full:
            self._wait(END_AFTER, self._end_without_usage)  # we do not read: the wait is for the client
        else:
            self.end()
            self.cancel()

    def _ping(self) -> None:
        """Tell the client that its answer is still coming, once no other provider could give it unseen."""
        if self._reply is not None:
            if not self._reply.full:
                self._reply.write(self.answering.ping())
        elif not self.opened.done() and self._last:
            self._body += self.answering.ping()
            self.opened.set_result(b"")

    # what the gateway calls

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def deliver(self, reply: Reply, headers: Mapping[str, str]) -> None:
        """Write the stream to the client; returns when it has ended. Raises ConnectionError when the client left."""
        reply.begin(200, headers, bytes(self._body))
        self._body.clear()
        self._reply = reply
        while not self._ended:
            self._wake = self._loop.create_future()
            await self._wake
            if not self._ended and self.attempt is not None:
                await reply.drained()
                self.attempt.resume()
        if self._broken:
            reply.break_off()
        reply.finish()
