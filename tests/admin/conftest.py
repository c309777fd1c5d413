"""What tests of the admin API share: a gateway with a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.admin.calls import Admin, Kept, admin_of, kept_in


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    """A database with nothing in it."""
    async with kept_in(tmp_path) as opened:
        yield opened


@pytest.fixture
async def admin(kept: Kept) -> AsyncIterator[Admin]:
    """A client who is signed in to a gateway over it."""
    async with admin_of(kept=kept) as client:
        yield client
