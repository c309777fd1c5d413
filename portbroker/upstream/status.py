"""A sink for whoever wants to know nothing of an answer but its status. The one rule: it is told once."""

import asyncio
from collections.abc import Mapping

from portbroker.errors import ProviderError


class StatusSink:
    """Await `status`, then cancel the attempt. It raises the `ProviderError` that kept an answer from coming."""

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def head(self, status: int, _: Mapping[str, str]) -> None:
        if not self.status.done():
            self.status.set_result(status)

    def data(self, _: bytes) -> None:
        """Not of interest."""

    def end(self) -> None:
        """Not of interest."""

    def fail(self, error: ProviderError) -> None:
        if not self.status.done():
            self.status.set_exception(error)
