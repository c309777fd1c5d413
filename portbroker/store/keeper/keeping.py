"""The side of the socket that has the file: it does what the others ask.

The one rule: an answer goes back to whoever asked, whatever happened; a connection ends when its other side does.
"""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

from portbroker.errors import StoreDown, StoreError
from portbroker.store.database import Arguments
from portbroker.store.keeper.frames import read, written
from portbroker.store.keeper.news import News
from portbroker.store.sqlite.database import SqliteDatabase

log = logging.getLogger("portbroker.store")

_CHANGES = frozenset({"insert_key", "update_key", "delete_key"})
CHANGED = {"changed": True}
"""What the others are told when a key has changed."""


class Keeping:
    """Has the file, and serves those who connect to `listener`."""

    def __init__(self, database: SqliteDatabase, listener: socket.socket, news: News) -> None:
        self._database = database
        self._listener = listener
        self._news = news
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Serve from now on."""
        self._server = await asyncio.start_unix_server(self._serve, sock=self._listener)

    async def stop(self) -> None:
        """Serve no longer, and let go of the file."""
        Path(self._listener.getsockname()).unlink(missing_ok=True)  # noqa: ASYNC240 - a name, gone at once
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # none takes longer than an operation may
        for writer in self._writers:
            writer.close()
        await self._database.close()

    async def call(self, name: str, arguments: Arguments) -> Any:
        """Carry out an operation, for whoever asks."""
        answer = await self._database.call(name, arguments)
        if name in _CHANGES:
            self._news.tell()
            for writer in self._writers:
                writer.write(written(CHANGED))
        return answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                message = await read(reader)
                answering = self._answer(message["id"], message["name"], message["arguments"], writer)
                task = asyncio.get_running_loop().create_task(answering)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (OSError, EOFError, ValueError, TypeError, KeyError):
            pass  # the other side has gone, or says what no other side says
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, number: int, name: str, arguments: Arguments, writer: asyncio.StreamWriter) -> None:
        answer: dict[str, Any] = {"id": number}
        try:
            answer["answer"] = await self.call(name, arguments)
        except StoreError as error:
            answer |= {"error": str(error), "down": isinstance(error, StoreDown)}
        except Exception:  # a fault of ours must not leave another process waiting
            log.exception("an operation of another process failed")
            answer |= {"error": "the process that keeps the database failed; its log has the reason", "down": False}
        writer.write(written(answer))
