"""Responses that are kept, as their caller can ask for them: read, list what they answer, delete, cancel.

The one rule: what is not kept here, or belongs to another caller, is not found.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from portbroker.conversation import Json
from portbroker.dialects.openai_responses.stored import FORGOTTEN
from portbroker.errors import CallError
from portbroker.keeping import asked_items
from portbroker.kept_responses import KeptResponse, ResponseStore

PREFIX = "/v1/responses/"
_ACTIONS = {"cancel": ("POST",), "input_items": ("GET", "HEAD"), "": ("GET", "HEAD", "DELETE")}
_PAGE, _LONGEST_PAGE = 20, 100
_PREFIXES = {"reasoning": "rs_", "function_call": "fc_", "custom_tool_call": "ctc_", "message": "msg_"}


def methods(path: str) -> tuple[str, ...]:
    """How a path of a response may be asked; nothing for one that is none."""
    name, _, action = path.removeprefix(PREFIX).partition("/")
    return _ACTIONS.get(action, ()) if name and path.startswith(PREFIX) else ()


async def about_response(
    method: str, path: str, query: Mapping[str, str], store: ResponseStore, owner: str
) -> tuple[KeptResponse, Json]:
    """The response that a path names, and what its caller hears; whoever asks with DELETE wants it gone.

    Raises `CallError` for one that is not kept, and for what cannot be done with one that is.
    """
    name, _, action = path.removeprefix(PREFIX).partition("/")
    kept = await store.get(owner, name)
    if kept is None:
        message = f"Response with id '{name[:200]}' not found. {FORGOTTEN}."
        raise CallError(message, kind="not_found", status=404, param="id")
    if action == "cancel":
        raise CallError("Cannot cancel a synchronous response: it is complete.", param="id")
    if action == "input_items":
        return kept, _page(_with_ids(kept), query)
    if method == "DELETE":
        return kept, {"id": name, "object": "response", "deleted": True}
    if query.get("stream") == "true":
        raise CallError("stream: only a background response can be streamed again", param="stream")
    response: Json = orjson.loads(kept.response)
    return kept, response


def _with_ids(kept: KeptResponse) -> list[Json]:
    """The items that a response answers, each with an id, which is the same whenever it is asked for."""
    return [{"id": _made_id(kept.id, at, item), **_written_out(item)} for at, item in enumerate(asked_items(kept))]


def _written_out(item: Json) -> Json:
    """An item without the short forms in which clients may write one."""
    item = {"status": "completed", **item}
    if item.get("type", "message") != "message":
        return item
    content, kind = item.get("content"), "output_text" if item.get("role") == "assistant" else "input_text"
    parts = [{"type": kind, "text": content}] if isinstance(content, str) else content
    return {**item, "type": "message", "content": parts}


def _made_id(response: str, at: int, item: Json) -> str:
    kind: Any = item.get("type", "message")
    prefix = _PREFIXES.get(kind, "item_") if isinstance(kind, str) else "item_"
    return prefix + hashlib.sha256(f"{response}\0{at}".encode()).hexdigest()[:24]


def _page(items: list[Json], query: Mapping[str, str]) -> Json:
    """A page of a list, the newest first unless asked otherwise."""
    if (order := query.get("order", "desc")) not in ("asc", "desc"):
        raise CallError("order: must be asc or desc", param="order")
    listed = items if order == "asc" else items[::-1]
    if (after := query.get("after")) is not None:
        places = [at for at, item in enumerate(listed) if item["id"] == after]
        if not places:
            raise CallError(f"after: there is no item {after[:100]!r}", param="after")
        listed = listed[places[0] + 1 :]
    limit = _limit(query.get("limit", str(_PAGE)))
    page = listed[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(listed) > limit,
    }


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= _LONGEST_PAGE:
        raise CallError(f"limit: must be a whole number from 1 to {_LONGEST_PAGE}", param="limit")
    return int(text)
