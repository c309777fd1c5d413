"""What the faults of Supabase mean. The one rule: what may pass by itself is `StoreDown`; no message holds a key."""

import httpx
from postgrest import APIError

from portbroker.errors import StoreDown, StoreError
from portbroker.store.migrations import Migration, migrations

_PASSING = ("08", "53", "57", "58", "40001", "40P01", "55P03", "25006", "PGRST00")
_NO_KEY = ("401", "403", "PGRST301", "PGRST302", "PGRST303")


def to_run(place: str, steps: tuple[Migration, ...]) -> StoreError:
    """What to do when the tables are not there, or not all of them."""
    files = ", then ".join(str(step.path) for step in steps)
    return StoreError(
        f"{place} lacks PortBroker's tables: run {files} in the project's SQL editor, and add `portbroker` to the"
        " exposed schemas (Settings, Data API)"
    )


async def check_answer(response: httpx.Response) -> None:
    """Raises HTTPStatusError for what the client would take for data, or for an error that has no status."""
    passing = response.status_code == 429 or response.status_code >= 500
    if passing or (response.is_success and "json" not in response.headers.get("content-type", "")):
        raise httpx.HTTPStatusError(f"it answered {response.status_code}", request=response.request, response=response)


def fault(error: Exception, place: str) -> StoreError:
    """The same as one of ours."""
    if isinstance(error, httpx.HTTPStatusError):
        return StoreDown(f"{place} cannot do this now ({error})")
    if not isinstance(error, APIError):
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return StoreError(f"SUPABASE_URL cannot be used: {error}")
        return StoreDown(f"{place} cannot be reached: is the project running, and reachable from here?")
    code = error.code or ""
    words = (error.message or "").partition("\n")[0][:300]
    if code in ("PGRST106", "PGRST202"):
        return to_run(place, migrations("postgresql"))
    if code in _NO_KEY:
        return StoreDown(f"{place} does not take SUPABASE_KEY ({words}): is it a secret key of this project?")
    if code == "42501":
        return StoreDown(f"{place}: {words}: run {migrations('postgresql')[-1].path} again, it grants what is needed")
    if code.startswith(_PASSING):
        return StoreDown(f"{place} cannot do this now ({code}: {words})")
    return StoreError(f"{place} refuses this ({code or 'no code'}): {words}")
