"""The side of the socket that asks. The one rule: when the keeper goes, all who wait for it are told at once."""

import asyncio
import itertools
from typing import Any

from portbroker.errors import StoreDown, StoreError
from portbroker.store.database import Arguments
from portbroker.store.keeper.frames import read, written
from portbroker.store.keeper.news import News


class Gone(Exception):
    """The keeper has gone. With `sent`, what it was asked may or may not have been done; without, it was not."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class Asking:
    """A connection to the keeper, which listens at `path`."""

    def __init__(self, path: str, news: News) -> None:
        self._path = path
        self._news = news
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._gone = False

    async def start(self) -> None:
        """Connect. Raises OSError when nobody is there."""
        reader, self._writer = await asyncio.open_unix_connection(self._path)
        self._task = asyncio.get_running_loop().create_task(self._listen(reader))

    async def stop(self) -> None:
        """End the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def call(self, name: str, arguments: Arguments) -> Any:
        """Have an operation carried out. Raises `Gone`."""
        if self._gone:
            raise Gone(sent=False)
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(written({"id": number, "name": name, "arguments": arguments}))
            return await answer
        finally:
            del self._waiting[number]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                self._hear(await read(reader))
        except (OSError, EOFError, ValueError):
            pass  # the keeper has gone
        finally:
            self._gone = True
            self._writer.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(Gone(sent=True))

    def _hear(self, message: Any) -> None:
        if message.get("changed"):
            self._news.tell()
            return
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return  # nobody waits for it any more
        if "error" in message:
            answer.set_exception((StoreDown if message["down"] else StoreError)(message["error"]))
        else:
            answer.set_result(message["answer"])
