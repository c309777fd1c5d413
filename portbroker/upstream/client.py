"""`HttpUpstream`: requests go out, by origin. The one rule: what is open here outlives every configuration."""

import asyncio
from collections.abc import Collection, Mapping

from portbroker.origin import Origin
from portbroker.upstream.attempt import HttpAttempt
from portbroker.upstream.dialing import Dialer
from portbroker.upstream.faults import WireFault, fault
from portbroker.upstream.interface import Attempt, Sink, Upstream, UpstreamRequest
from portbroker.upstream.limits import Limits
from portbroker.upstream.pool import Pool


class HttpUpstream:
    """Providers over HTTP/1.1, one pool of connections for each origin.

    `local` answers for schemes that need no connection (`demo`).
    """

    def __init__(self, *, local: Mapping[str, Upstream] | None = None, limits: Limits | None = None) -> None:
        self._local = dict(local or {})
        self._limits = limits or Limits()
        self._dialer = Dialer()
        self._pools: dict[Origin, Pool] = {}
        self._emptied: asyncio.Event | None = None
        self._closed = False

    def send(self, request: UpstreamRequest, sink: Sink) -> Attempt:
        """Begin an attempt. With an idle connection at hand, the request is written before this returns."""
        pool = self._pools.get(request.origin)
        if pool is None:
            if local := self._local.get(request.origin.scheme):
                return local.send(request, sink)
            pool = self._open(request.origin)
        attempt = HttpAttempt(pool, request, sink, pool.loop)
        try:
            attempt.wire = pool.heads.of(request)
        except WireFault as error:
            pool.loop.call_soon(attempt.fail, fault(request, str(error)))
            return attempt
        if self._closed:
            pool.loop.call_soon(attempt.stop)
        elif connection := pool.take():
            connection.begin(attempt)
        else:
            pool.queue(attempt)
        return attempt

    def keep(self, origins: Collection[Origin]) -> None:
        """Close connections to all other origins, each when it is free: the configuration no longer knows them."""
        wanted = set(origins)
        for origin, pool in tuple(self._pools.items()):
            if origin in wanted:
                pool.retired = False
            else:
                pool.retire()
        self._tidy()

    async def close(self) -> None:
        """End every attempt and close every connection."""
        self._closed = True
        for upstream in self._local.values():
            await upstream.close()
        for pool in tuple(self._pools.values()):
            await pool.close()
        while not all(pool.empty for pool in self._pools.values()):
            self._emptied = asyncio.Event()
            await self._emptied.wait()
        self._pools.clear()

    def _open(self, origin: Origin) -> Pool:
        loop = asyncio.get_running_loop()
        self._pools[origin] = pool = Pool(origin, self._limits, self._dialer, loop, self._tidy)
        return pool

    def _tidy(self) -> None:
        """Forget retired pools that hold nothing more."""
        for origin, pool in tuple(self._pools.items()):
            if pool.retired and pool.empty:
                del self._pools[origin]
        if self._emptied is not None:
            self._emptied.set()
