"""What PostgreSQL's faults mean. The one rule: what may pass by itself is `StoreDown`; no message holds a password."""

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portbroker.errors import StoreDown, StoreError

FAULTS = (DBAPIError, PoolTimeout, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError)
"""All that the clients raise."""

_AGAIN = frozenset({"40001", "40P01"})
_PASSING = ("08", "53", "57", "58", "25006", "55P03", *_AGAIN)
_CLOSED = ("28", "3D000", "42501")


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code for the fault, empty when it did not come from there."""
    found = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    return str(found or "")


def lost(error: BaseException) -> bool:
    """Whether the connection was gone: it may have been gone for long, and another one works."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def collided(error: BaseException) -> bool:
    """Whether it must simply be asked again: two transactions stood in each other's way."""
    return sqlstate(error) in _AGAIN


def fault(error: BaseException, place: str) -> StoreError:
    """The same as one of ours."""
    code = sqlstate(error)
    if code.startswith(_CLOSED):
        return StoreDown(f"{place} does not let us in ({_words(error)}): look at user, password, database and rights")
    if code.startswith(_PASSING):
        return StoreDown(f"{place} cannot do this now ({_words(error)})")
    if code:
        return StoreError(f"{place} refuses this ({code}): {_words(error)}")
    if isinstance(error, ValueError):
        return StoreError(f"the URL of {place} cannot be used: {_words(error)}")
    return StoreDown(f"{place} cannot be reached: is it running, and reachable from here?")


def _words(error: BaseException) -> str:
    """PostgreSQL's own message, without the SQL and the values that SQLAlchemy adds."""
    inner = getattr(error, "orig", None) or error
    cause = inner.__cause__ if isinstance(inner.__cause__, asyncpg.PostgresError) else inner
    text: object = getattr(cause, "message", None) or cause
    return str(text).partition("\n")[0][:300]
