"""A call that goes on from an earlier answer, made whole.

The one rule: where earlier items come from is not known here; without them such a call cannot be answered.
"""

from typing import Any

from portbroker.conversation import Json
from portbroker.errors import CallError

FORGOTTEN = (
    "This gateway keeps responses for a while (`stored_responses`), in memory and for the caller that asked for them"
)


def expand(body: Json, earlier: list[Json]) -> Json:
    """The body with all that was said before: `earlier` are the items of the response that it names and its input's.

    Instructions are not carried over from call to call; what else the body says holds.
    """
    given = body.get("input")
    if given is not None and not isinstance(given, str | list):
        raise CallError("input: must be a string or an array of items", param="input")
    whole = {key: value for key, value in body.items() if key != "previous_response_id"}
    return {**whole, "input": [*earlier, *as_items(given)]}


def as_items(given: Any) -> list[Json]:
    """`input` as a list of items, without what is none."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []


def refuse_unheld(body: Json) -> None:
    """Raises `CallError` for what only a store could answer, and for what nobody could here."""
    if body.get("previous_response_id") is not None:
        raise unknown_response(body["previous_response_id"])
    if body.get("conversation") is not None:
        named = body["conversation"]
        name = named.get("id") if isinstance(named, dict) else named
        raise CallError(
            f"Conversation with id '{name}' not found. This gateway keeps responses, not conversations.",
            param="conversation",
            code="conversation_not_found",
        )
    refuse_background(body)
    if body.get("prompt") is not None:
        raise CallError("Stored prompts are not supported by this gateway: send the prompt itself.", param="prompt")


def refuse_background(body: Json) -> None:
    """Raises for an answer that would have to be fetched later."""
    if body.get("background") is True:
        raise CallError("Background responses are not supported by this gateway.", param="background")


def unknown_response(name: object) -> CallError:
    """The refusal of a call that goes on from a response which nobody here knows."""
    return CallError(
        f"Previous response with id '{name}' not found. {FORGOTTEN}: send the whole conversation instead.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
