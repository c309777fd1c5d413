"""The page of metrics, and who may see it without a sign-in.

The one rule: this is light. A gateway that is scraped every few seconds and otherwise left alone imports nothing else
of the admin API.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from portbroker.auth import is_loopback, refuse_strangers
from portbroker.errors import CallError, PortBrokerError
from portbroker.request import Request
from portbroker.spool import waiting
from portbroker.wire import Reply

if TYPE_CHECKING:
    from portbroker.admin.parts import Parts

PATH = "/metrics"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


async def scraped(request: Request, parts: "Parts") -> Reply | None:
    """The answer to a scrape from this machine; None for what the whole API must look at."""
    if (request.method, request.raw_path) != ("GET", PATH) or not is_here(request.headers, request.remote):
        return None
    try:
        told, content_type = await page(parts, request.headers.get("accept", ""))
    except PortBrokerError:
        return None  # the API says why, in its own words
    reply = Reply(request)
    reply.keep_alive = reply.keep_alive and not parts.gateway.draining
    revision = parts.gateway.snapshot.revision
    reply.whole(
        200, {"content-type": content_type, "cache-control": "no-store", "x-portbroker-revision": revision}, told
    )
    return reply


async def page(parts: "Parts", accept: str) -> tuple[bytes, str]:
    """The page and its content type. Raises `PortBrokerError` when nobody can say."""
    from portbroker.metrics.exposition import exposition  # prometheus_client costs memory that not everybody needs

    counts, status = await parts.counts()
    return exposition(counts, status, _gauges(parts.spool), accept)


def is_here(headers: Mapping[str, str], remote: str) -> bool:
    """Whether this machine asks for itself: not a page in a browser, and not a proxy for somebody else."""
    if not is_loopback(remote) or any(name in headers for name in _FORWARDED):
        return False
    try:
        refuse_strangers(headers)
    except CallError:
        return False
    return True


def _gauges(spool: Path | None) -> Iterator[tuple[str, str, float]]:
    yield "tasks", "Tasks of the event loop of the process that answers.", len(asyncio.all_tasks())
    if spool is None:
        return
    found = waiting(spool)
    yield "spool_bytes", "Bytes of usage that is not in the database yet.", found.bytes
    yield "spool_segments", "Files of usage that is not in the database yet.", found.segments
    yield "spool_oldest_seconds", "How long the oldest of that waits.", found.oldest
