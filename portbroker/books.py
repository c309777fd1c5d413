"""The books: a row for each call, entered before its last byte goes out, and its leave given back.

The one rule: a call is entered once, whatever ends it, and what is written of it holds no body, no header and no key.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from portbroker.admission import Admission, Leave
from portbroker.caller import Caller
from portbroker.cost import Tokens, tokens_of
from portbroker.facts import Facts
from portbroker.snapshot import Target
from portbroker.store.ids import uuid7
from portbroker.usage import AttemptRecord, Exchange

_LONGEST = 200


@dataclass(eq=False, slots=True)
class Entry:
    """What the books know of a call beyond its exchange. `at` is when it began, in microseconds since 1970."""

    id: str
    at: int
    caller: Caller
    route: str
    dialect: str
    client: str
    leave: Leave | None = None
    target: Target | None = None
    counted: bool = False
    """The provider counted the tokens itself."""
    open: bool = True


class Books:
    """Keeps what calls come to. `record` takes the rows, `admission` knows what callers may still spend."""

    def __init__(self, record: Callable[[bytes], None], admission: Admission) -> None:
        self._record = record
        self._admission = admission

    def begin(self, caller: Caller, route: str, dialect: str, client: str) -> Entry:
        """A call begins."""
        at = time.time_ns() // 1000
        return Entry(uuid7(at), at, caller, route, dialect, client)

    async def admit(self, entry: Entry, facts: Facts, targets: Callable[[], list[Target]]) -> None:
        """Let the call of a bounded caller through.

        Raises `CallError` when the caller has had enough, `GatewayError` when nobody can say.
        """
        entry.leave = await self._admission.admit(entry.caller, facts, targets(), entry.id)

    def end(self, entry: Entry, exchange: Exchange) -> None:
        """The call is over: enter it. Nothing happens when it was entered before."""
        if not entry.open:
            return
        entry.open = False
        tokens = tokens_of(exchange.usage)
        if entry.leave is not None:
            self._admission.settle(entry.leave, tokens.input + tokens.output)
        self._record(_row(entry, exchange, tokens))


def _row(entry: Entry, exchange: Exchange, tokens: Tokens) -> bytes:
    """A `UsageEvent` as JSON, without its detour over one: a record of thirty fields takes longer to make than this."""
    now = time.monotonic()
    target, first = entry.target, exchange.first_content
    rates = target.rates if target is not None else None
    last = exchange.attempts[-1] if exchange.attempts else None
    caller = entry.caller
    return orjson.dumps({
        "id": entry.id,
        "at": entry.at,
        "key_id": caller.id,
        "caller": caller.name,
        "client": entry.client,
        "route": entry.route,
        "dialect": entry.dialect,
        "model": _plain(exchange.model),
        "provider": target.provider.name if target is not None else last.provider if last is not None else "",
        "upstream_model": target.model if target is not None else _plain(last.model) if last is not None else "",
        "attempts": [_attempt(attempt) for attempt in exchange.attempts],
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cached_input_tokens": tokens.cached,
        "cache_write_tokens": tokens.written,
        "reasoning_tokens": tokens.reasoning,
        "cost_nano": tokens.cost(rates),
        "price": rates.told if rates is not None else {},
        "latency_us": int((now - exchange.began) * 1e6),
        "first_token_us": None if first is None else int((first - exchange.began) * 1e6),
        "revision": exchange.revision,
        "status": exchange.status,
        "outcome": _outcome(exchange),
        "partial": exchange.partial,
        "estimated": exchange.usage is not None and not entry.counted,
        "stream": exchange.stream,
        "tags": caller.tags,
        "period": entry.leave.period if entry.leave is not None else "",
    })  # fmt: skip


def _attempt(attempt: AttemptRecord) -> dict[str, object]:
    return {
        "provider": attempt.provider, "model": _plain(attempt.model), "outcome": attempt.outcome,
        "status": attempt.status, "us": int(attempt.seconds * 1e6), "key": attempt.key, "why": attempt.why,
    }  # fmt: skip


def _outcome(exchange: Exchange) -> str:
    if exchange.error is not None:
        return exchange.error.kind
    return "cancelled" if exchange.partial else "ok"


def _plain(text: str) -> str:
    """Words of clients as a database takes them: short, and nothing in them that no text may hold."""
    if len(text) <= _LONGEST and text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text[:_LONGEST])


def client_of(agent: str | None) -> str:
    """The program that calls, as it names itself first: `claude-cli/2.1`."""
    return _plain(agent.partition(" ")[0]) if agent else ""
