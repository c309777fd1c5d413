"""Responses that the workers of one server share: what one does not know, it asks the others for.

Each worker listens on a socket in a directory that is this user's alone; its memory stays its own, and ends with it.
The one rule: a worker that does not answer at once knows nothing, and nobody waits for it.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from portbroker.kept_responses import KeptResponse, ResponseStore
from portbroker.policy import Keep

log = logging.getLogger("portbroker")

_PATIENCE = 2.0
_LONGEST_QUESTION = 16 * 1024
_LONGEST_PATH = 100
"""Bytes of a socket's path that every system takes."""


class SharedResponses:
    """The responses of this worker and, behind them, of those whose sockets stand in a directory. See `shared`."""

    def __init__(self, own: ResponseStore, directory: Path) -> None:
        self.own = own
        self.path = directory / f"{os.getpid()}.sock"

    def put(self, kept: KeptResponse, keep: Keep) -> None:
        self.own.put(kept, keep)

    async def get(self, owner: str, name: str) -> KeptResponse | None:
        if (found := await self.own.get(owner, name)) is not None:
            return found
        for answer in await self._ask_others({"do": "get", "owner": owner, "name": name}):
            response, asked = answer["response"].encode(), answer["asked"].encode()
            return KeptResponse(name, owner, response, asked, answer["provider"])
        return None

    async def delete(self, owner: str, name: str) -> None:
        await self.own.delete(owner, name)
        await self._ask_others({"do": "delete", "owner": owner, "name": name})

    async def _ask_others(self, question: dict[str, str]) -> list[dict[str, Any]]:
        """What the others know."""
        line = orjson.dumps(question) + b"\n"
        if len(line) > _LONGEST_QUESTION:
            return []  # no response has such a name
        others = [path for path in self.path.parent.glob("*.sock") if path != self.path]
        answers = await asyncio.gather(*(_asked(path, line) for path in others))
        return [answer for answer in answers if answer]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer another worker, from what this one has itself."""
        try:
            async with asyncio.timeout(_PATIENCE):
                question = orjson.loads(await reader.readline())
                writer.write(orjson.dumps(await self._known(question)))
                await writer.drain()
        except (TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            log.debug("a question about a response could not be answered: %s", type(error).__name__)
        finally:
            writer.close()

    async def _known(self, question: dict[str, str]) -> dict[str, Any]:
        owner, name = question["owner"], question["name"]
        if question["do"] == "delete":
            await self.own.delete(owner, name)
            return {}
        found = await self.own.get(owner, name)
        if found is None:
            return {}
        return {"response": found.response.decode(), "asked": found.asked.decode(), "provider": found.provider}


async def _asked(path: Path, line: bytes) -> dict[str, Any]:
    """What one worker answers; nothing when it does not know, or is not there any more."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(line)
                await writer.drain()
                answer: dict[str, Any] = orjson.loads(await reader.read(-1))
            finally:
                writer.close()
    except ConnectionRefusedError:
        _remove(path)  # whoever listened there was killed
        return {}
    except (TimeoutError, OSError, ValueError):
        return {}
    return answer


@contextlib.asynccontextmanager
async def shared(own: ResponseStore, directory: Path) -> AsyncIterator[ResponseStore]:
    """What this worker keeps, and what the others do, until the context ends; its own alone where that cannot be."""
    sharing = SharedResponses(own, directory)
    if len(os.fsencode(sharing.path)) > _LONGEST_PATH:
        log.warning("each worker keeps stored responses for itself: %s is too long a path for sockets", directory)
        yield own
        return
    _make_room(sharing.path)
    server = await asyncio.start_unix_server(sharing.answer, str(sharing.path), limit=_LONGEST_QUESTION)
    try:
        yield sharing
    finally:
        server.close()
        await server.wait_closed()
        _remove(sharing.path)


def _make_room(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
