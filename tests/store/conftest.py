"""What the tests of the store share: each that asks for `store` or `opening` runs on every database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from portbroker.store import Store
from tests.postgresql import Cluster, cluster
from tests.store.databases import DATABASES, Opening


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A server, one for all tests."""
    with cluster() as running:
        yield running


@pytest.fixture(params=DATABASES)
async def opening(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opening]:
    """Opens stores on one new database."""
    async with DATABASES[request.param](tmp_path, lambda: request.getfixturevalue("postgresql")) as opens:
        yield opens


@pytest.fixture
async def store(opening: Opening) -> AsyncIterator[Store]:
    """A store with nothing in it."""
    async with opening() as one:
        yield one
