"""Supabase as a `Database`: each operation is one call of a function over HTTP, which is a transaction of its own.

The one rule: whoever asks waits a few seconds at most; the client's own retries and time-outs would take minutes.
"""

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import httpx
from postgrest import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from portbroker.errors import StoreDown
from portbroker.store.database import IDEMPOTENT, POLL, Arguments
from portbroker.store.migrations import outstanding
from portbroker.store.supabase.credential import check_key
from portbroker.store.supabase.faults import check_answer, fault, to_run

logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it says each request, of which there is one a second

LONGEST = 5.0
"""Seconds that an operation may take, all told."""
_CONNECTING = 3.0
_CONNECTIONS = 32


class SupabaseDatabase:
    """The schema `portbroker` of a Supabase project, shared by as many gateways as like to."""

    kind = "supabase"

    def __init__(self, url: str, key: str) -> None:
        self.place = f"https://{urlsplit(url).hostname or ''}" if url.startswith("https:") else url
        self._url, self._key = url, key
        self._http: httpx.AsyncClient | None = None
        self._client: AsyncClient | None = None

    async def open(self) -> None:
        check_key(self._key)
        await self.close()
        try:
            self._client = await self._connected()
            steps = outstanding("postgresql", int(await self.call("version", {})), self.place)
        except BaseException:
            await self.close()
            raise
        if steps:
            await self.close()
            raise to_run(self.place, steps)

    async def close(self) -> None:
        self._client = None
        if self._http is not None:
            await self._http.aclose()

    async def _connected(self) -> AsyncClient:
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(LONGEST, connect=_CONNECTING),
            follow_redirects=False,  # a redirect would carry the key elsewhere
            event_hooks={"response": [check_answer]},
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        )
        options = AsyncClientOptions(
            schema="portbroker", httpx_client=self._http, postgrest_client_retry=False,
            auto_refresh_token=False, persist_session=False,
        )  # fmt: skip
        return await acreate_client(self._url, self._key, options)

    async def call(self, name: str, arguments: Arguments) -> Any:
        try:
            async with asyncio.timeout(LONGEST):
                return await self._call(name, arguments)
        except TimeoutError:
            raise StoreDown(f"{self.place} did not answer within {LONGEST:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, APIError) as error:
            raise fault(error, self.place) from error

    async def changed(self) -> None:
        await asyncio.sleep(POLL)

    async def _call(self, name: str, arguments: Arguments) -> Any:
        try:
            return await self._send(name, arguments)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if name not in IDEMPOTENT:
                raise
            return await self._send(name, arguments)  # a kept connection had been closed by the other side

    async def _send(self, name: str, arguments: Arguments) -> Any:
        if self._client is None:
            raise StoreDown(f"{self.place} is not open")
        answer = await self._client.rpc(name, {"arguments": dict(arguments)}).execute()
        return answer.data
