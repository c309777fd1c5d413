"""What the tests of the store share: each of them runs on every database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portbroker.store import Store
from tests.store.databases import Opening, on_sqlite


@pytest.fixture(params=["sqlite"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens stores on one new database."""
    return on_sqlite(tmp_path)


@pytest.fixture
async def store(opening: Opening) -> AsyncIterator[Store]:
    """A store with nothing in it."""
    async with opening() as opened:
        yield opened
