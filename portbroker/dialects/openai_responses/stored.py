"""A call that goes on from an earlier answer, made whole.

The one rule: where earlier items come from is not known here; without them such a call cannot be answered.
"""

from typing import NoReturn

from portbroker.conversation import Json
from portbroker.errors import CallError


def expand(body: Json, earlier: list[Json]) -> Json:
    """The body with all that was said before: `earlier` are the items of the response that it names and its input's.

    Instructions are not carried over from call to call; what else the body says holds.
    """
    given = body.get("input")
    new = [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else given or []
    whole = {key: value for key, value in body.items() if key != "previous_response_id"}
    return {**whole, "input": [*earlier, *new]}


def refuse_unheld(body: Json) -> None:
    """Raises `CallError` for what only a store could answer, and for what nobody could here."""
    if body.get("previous_response_id") is not None:
        _unknown("previous_response_id", body["previous_response_id"], "Previous response")
    if body.get("conversation") is not None:
        named = body["conversation"]
        _unknown("conversation", named.get("id") if isinstance(named, dict) else named, "Conversation")
    refuse_background(body)
    if body.get("prompt") is not None:
        raise CallError("Stored prompts are not supported by this gateway: send the prompt itself.", param="prompt")


def refuse_background(body: Json) -> None:
    """Raises for an answer that would have to be fetched later."""
    if body.get("background") is True:
        raise CallError("Background responses are not supported by this gateway.", param="background")


def _unknown(param: str, name: object, what: str) -> NoReturn:
    raise CallError(f"{what} with id '{name}' not found.", param=param, code=f"{param.removesuffix('_id')}_not_found")
