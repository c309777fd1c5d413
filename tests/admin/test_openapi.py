"""The description of the admin API is true: a program that reads it and nothing else finds no answer that it does not
tell of."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.admin.calls import TOKEN, Admin, admin_of_file, kept_in

FILE = """\
providers:
  - {name: Local, base_url: "http://127.0.0.1:9/v1", api_key: sk-secret-of-a-provider, small_model: tiny}
"""
EXAMPLES = 12
"""Requests that are made up for each endpoint; more find more, and take longer."""
TAKES_NOTHING = ("GET /admin", "GET /metrics")
"""Open, without query and body: there is nothing about it that could be wrong."""
LEFT_OUT = [
    ignored_auth,  # it cannot take the credential away that is handed in here; `test_security` walks every route
    positive_data_acceptance,  # what would make the file wrong stands in the file, not in the description
]


class Server:
    """A gateway in a thread of its own, for a client that waits."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = AsyncExitStack()
        self._directory = directory
        self.url = ""

    def __enter__(self) -> "Server":
        self._thread.start()
        self.url = self._run(self._started())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: object) -> str:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)  # type: ignore[arg-type]

    async def _started(self) -> str:
        file = self._directory / "portbroker.yaml"
        file.write_text(FILE)
        kept = await self._stack.enter_async_context(kept_in(self._directory))
        admin: Admin = await self._stack.enter_async_context(admin_of_file(file, kept=kept))
        return admin.url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("described")) as started:
        yield started


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_every_answer_is_one_that_is_described(server: Server, mode: GenerationMode) -> None:
    credential = {"authorization": f"Bearer {TOKEN}"}
    schema = schemathesis.openapi.from_url(f"{server.url}/admin/openapi.json", headers=credential)
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        tried += 1
        if mode is GenerationMode.NEGATIVE and operation.label in TAKES_NOTHING:
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, phases=[Phase.generate], derandomize=True, deadline=None, database=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        def told(case: schemathesis.Case[Any]) -> None:
            answer = case.call_and_validate(headers=credential, timeout=20, excluded_checks=LEFT_OUT)
            assert "sk-secret-of-a-provider" not in answer.text

        told()
    assert tried >= 20
