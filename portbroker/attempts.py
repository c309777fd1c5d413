"""Attempts: a call is carried to one target after another until one answers. `Course` decides, this does.

The one rule: only `Carriage.open` tries again, and it returns before the first byte goes to the client.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from portbroker.call import Call
from portbroker.caller import LOCAL, Caller
from portbroker.conversation import Json
from portbroker.course import Common, Course, Try, Wait
from portbroker.errors import GatewayError, Kind, ProviderError
from portbroker.facts import Facts
from portbroker.forwarding import forward, having
from portbroker.keeping import Keeping, Retention
from portbroker.relay import Relay
from portbroker.snapshot import Pool, Route, Snapshot, Target
from portbroker.strategies import order
from portbroker.translate import Answering, is_anthropic_passthrough, prepare, upstream_headers
from portbroker.upstream import Upstream, UpstreamRequest
from portbroker.usage import AttemptRecord, Exchange


@dataclass(slots=True)  # not frozen: made for each call, and frozen ones take five times as long
class Asking:
    """One call and all that came with it."""

    call: Call
    route: Route
    headers: Mapping[str, str]
    query: str
    strict: bool
    caller: Caller = LOCAL
    retention: Retention | None = None
    """Where the answer is kept, if it is."""


@dataclass(eq=False, slots=True)
class Running:
    """An attempt under way."""

    step: Try
    relay: Relay
    record: AttemptRecord


@dataclass(eq=False, slots=True)
class Opened:
    """An attempt that has brought something good. `alone`: no other provider could have served this client."""

    relay: Relay
    target: Target
    alone: bool
    _step: Try
    _course: Course

    def close(self) -> None:
        """The answer is over, or nobody wants the rest of it."""
        used = None if self._step.leave is None else _tokens(self.relay.answering.reading.usage)
        self._course.ended(self._step, self.relay.error, used)


def _tokens(usage: Json | None) -> int | None:
    """The tokens of an answer, as far as they are known."""
    counts = [usage.get(name) for name in ("input_tokens", "output_tokens")] if usage else []
    return sum(count for count in counts if isinstance(count, int)) if usage else None


class Attempts:
    """Makes the attempts of all calls. `common` is what they have in common; it outlives every snapshot."""

    def __init__(self, upstream: Upstream, common: Common | None = None) -> None:
        self.upstream = upstream
        self.common = common or Common()

    def begin(self, asking: Asking, snapshot: Snapshot, exchange: Exchange) -> "Carriage":
        """The call on its way to the pool of its model; nothing is sent yet. Raises when nobody serves it."""
        return Carriage(asking, snapshot, exchange, self.common, self.upstream)


class Carriage:
    """One call on its course."""

    def __init__(
        self, asking: Asking, snapshot: Snapshot, exchange: Exchange, common: Common, upstream: Upstream
    ) -> None:
        self._asking = asking
        self._exchange = exchange
        self._common = common
        self._upstream = upstream
        self.facts = facts = Facts(asking.call, asking.headers, asking.caller.key_name)
        self._pool = pool = snapshot.resolve(facts)
        targets = order(pool, facts, common.health)
        if asking.caller.providers is not None:
            targets = asking.caller.within(targets)
        if asking.call.endpoint is not None:
            targets = having(asking.call.endpoint, targets, pool)
        self._targets = targets
        self._fallbacks = partial(_fallbacks, pool, facts, snapshot, common, asking.caller)
        self.course = Course(
            [(target, pool) for target in targets],
            snapshot.retry,
            common,
            # Bound to what it needs and not to `self`, which would hold itself: a call of a megabyte must not wait for
            # the garbage collector.
            fallbacks=self._fallbacks,
            tokens=asking.call.estimate,
            ends=common.health.clock() + pool.timeouts(targets[0]).total,
        )

    def candidates(self) -> list[Target]:
        """Every target that may answer the call."""
        kinds = self._pool.fallbacks
        return [*self._targets, *(target for kind in kinds for target, _ in self._fallbacks(kind))]

    async def open(self) -> Opened:
        """The first target that answers. Raises the error that tells the client most when none does."""
        while True:
            step = self.course.next()
            if isinstance(step, Try):
                opened = await self.attempt(step)
                if opened is not None:
                    return opened
            elif isinstance(step, Wait):
                await self.wait(step.seconds)
            else:
                raise step.error

    # waiting

    async def wait(self, seconds: float) -> None:
        """Returns after so long, or when a rest has ended before its time."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        watchers = self._common.health.watchers
        watchers.add(wake)
        timer = loop.call_later(seconds, wake)
        began = time.monotonic()
        try:
            await woken
        finally:
            timer.cancel()
            watchers.discard(wake)
            self._exchange.waited += time.monotonic() - began

    async def _queue(self, step: Try) -> bool:
        """Whether the target had a place for the attempt before the call's patience was over."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if step.leave is not None:
            step.leave.called = lambda: None if turn.done() else turn.set_result(None)
        began = time.monotonic()
        try:
            await asyncio.wait_for(turn, self.course.queues())
        except TimeoutError:
            name = step.target.provider.name
            error = ProviderError(f"{name} is busy, and its queue did not move on", kind="overloaded", provider=name)
            self.course.passed_over(step, error)
            return False
        finally:
            self.course.queued()
            self._exchange.waited += time.monotonic() - began
        return True

    # attempts

    async def attempt(self, step: Try) -> Opened | None:
        """The answer, if it is good; None when the attempt, and its hedge where there was one, failed."""
        running: list[Running] = []
        try:
            if step.leave is not None and step.leave.queued and not await self._queue(step):
                return None
            if not self._start(step, running):
                return None
            if step.pool.hedge is None:
                return await self._only(running)
            await self._hedge(running)
            return await self._first_to_speak(running)
        except BaseException:
            if not running:
                self.course.abandoned(step)
            for one in running:
                self._abandon(one)
            raise

    async def _only(self, running: list[Running]) -> Opened | None:
        """The answer of an attempt that has none beside it, as nearly all have not."""
        one = running[0]
        try:
            await one.relay.opened
        except GatewayError as error:
            running.clear()
            self._bad(one.step, one.record, error)
            return None
        running.clear()
        return self._good(one)

    async def _hedge(self, running: list[Running]) -> None:
        """Start a second attempt beside one that takes its time."""
        step, relay = running[0].step, running[0].relay
        after = step.pool.hedge.after if step.pool.hedge else None
        if after is None:
            after = self._common.pace.slow(step.target.name, self._asking.call.stream)
        if after is None:
            return
        await asyncio.wait([relay.opened], timeout=after)
        if relay.opened.done() or (beside := self.course.hedge(step)) is None:
            return
        if beside.leave is not None and beside.leave.queued:
            self.course.abandoned(beside)  # there is nothing to win by waiting in a queue
        else:
            self._start(beside, running)

    async def _first_to_speak(self, running: list[Running]) -> Opened | None:
        while running:
            if len(running) > 1:
                await asyncio.wait([one.relay.opened for one in running], return_when=asyncio.FIRST_COMPLETED)
            else:
                await _done(running[0].relay.opened)
            for one in [one for one in running if one.relay.opened.done()]:
                running.remove(one)
                error = one.relay.opened.exception()
                if error is None:
                    while running:
                        self._abandon(running.pop())
                    return self._good(one)
                self._bad(one.step, one.record, error)
        return None

    def _start(self, step: Try, running: list[Running]) -> bool:
        """Send an attempt on its way, unless the call cannot be put to its target."""
        record = AttemptRecord(step.target.provider.name, step.target.model, key=step.key.name, why=step.why)
        self._exchange.attempts.append(record)
        try:
            relay = self._send(step)
        except GatewayError as error:
            self._bad(step, record, error)
            return False
        running.append(Running(step, relay, record))
        return True

    def _send(self, step: Try) -> Relay:
        asking, target, call = self._asking, step.target, self._asking.call
        strict = asking.strict or "error" in (asking.route.on_loss, target.provider.on_loss)
        now, request_id = int(time.time()), self._exchange.request_id
        answering: Answering
        if call.endpoint is not None:
            body, answering = forward(call, target, request_id)
        else:
            body, answering = prepare(
                call, target, strict=strict, request_id=request_id, created=now, route=asking.route.path
            )
        if asking.retention is not None:
            own = target.provider.name if target.dialect is call.dialect else ""
            answering = Keeping(answering, asking.retention, own)
        timeouts, provider = step.pool.timeouts(target), target.provider.name
        relay = Relay(answering, stream=call.flows, provider=provider, first_byte=timeouts.first_byte, last=step.last)
        path = target.path_with(
            asking.query if is_anthropic_passthrough(target, call) else "",
            call.endpoint.path if call.endpoint is not None else "",
        )
        headers = upstream_headers(target, call, asking.headers, step.key)
        request = UpstreamRequest(target.origin, path, headers, body, timeouts, provider)
        request.lasting = headers is step.key.headers
        relay.attempt = self._upstream.send(request, relay)
        return relay

    # how they end

    def _good(self, one: Running) -> Opened:
        one.record.seconds = seconds = self.course.succeeded(one.step)
        if one.step.pool.hedge is not None:
            self._common.pace.add(one.step.target.name, self._asking.call.stream, seconds)
        return Opened(one.relay, one.step.target, len(self._pool.targets) == 1, one.step, self.course)

    def _bad(self, step: Try, record: AttemptRecord, error: BaseException) -> None:
        """An attempt failed; anything but an error of ours is a bug, and the call's end."""
        if not isinstance(error, GatewayError):
            raise error
        record.seconds = self._common.health.clock() - step.began
        record.outcome, record.status, record.message = error.kind, error.status, str(error)
        self.course.failed(step, error)

    def _abandon(self, one: Running) -> None:
        """Nobody wants this answer: close its connection."""
        one.record.outcome = "cancelled"
        one.record.seconds = self._common.health.clock() - one.step.began
        if not one.relay.ended:
            one.relay.cancel()
        if not one.relay.opened.cancel() and not one.relay.opened.cancelled():
            one.relay.opened.exception()  # it is known, and nobody is to be told
        self.course.abandoned(one.step)


def _fallbacks(
    pool: Pool, facts: Facts, snapshot: Snapshot, common: Common, caller: Caller, kind: Kind
) -> Iterator[tuple[Target, Pool]]:
    """The targets of the models that the rule names for calls that are refused in this way."""
    for name in pool.fallbacks.get(kind, ()) if facts.call.endpoint is None else ():
        try:
            other = snapshot.resolve(facts, name)
        except GatewayError:
            continue  # none of its providers is active
        targets = order(other, facts, common.health)
        yield from ((target, other) for target in targets if caller.providers is None or caller.may_use(target))


async def _done(opened: asyncio.Future[bytes]) -> None:
    """Returns when it is known whether an attempt brought something good; the future says which."""
    try:
        await opened
    except GatewayError:
        return  # the future has it
