"""`GET /metrics`: what was counted, for Prometheus.

The one rule: who asks from this machine itself needs no credential; everybody else shows an admin's.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from portbroker.admin.configuration import known
from portbroker.admin.endpoints import Answer, Asked, Endpoint
from portbroker.admin.parts import Parts
from portbroker.admin.signin import SignIn
from portbroker.auth import is_loopback, refuse_strangers
from portbroker.errors import CallError
from portbroker.spool import waiting

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class MetricsPage:
    """All series of all workers."""

    def __init__(self, parts: Parts, sign_in: SignIn) -> None:
        self._parts = parts
        self._sign_in = sign_in

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("GET", "/metrics", self.show, "What was counted, in the text format of Prometheus.", {200: None},
                     open=True, tag="metrics",
                     also={"text/plain": "The text format."},
                     fails={401: "Not from this machine, and without an admin's credential.",
                            503: "The supervisor of the workers does not answer."}),
        )  # fmt: skip

    async def show(self, asked: Asked) -> Answer:
        if not _is_here(asked):
            await self._sign_in.identify(asked.headers, asked.remote)
        from portbroker.metrics.exposition import exposition  # prometheus_client costs memory that few need

        counts, status = await known(self._parts.counts())
        page, content_type = exposition(counts, status, _gauges(self._parts.spool), asked.headers.get("accept", ""))
        return Answer(page, content_type=content_type)


def _is_here(asked: Asked) -> bool:
    """Whether this machine asks for itself: not a page in a browser, and not a proxy for somebody else."""
    if not is_loopback(asked.remote) or any(name in asked.headers for name in _FORWARDED):
        return False
    try:
        refuse_strangers(asked.headers)
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
