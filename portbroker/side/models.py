"""The list of models, in the dialect of whoever asks.

The one rule: what is listed can be asked for by that name; what is known of it comes from the file and the catalog.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace

from portbroker.aliases import ALIAS
from portbroker.call import Call
from portbroker.conversation import Json
from portbroker.dialects import Dialect
from portbroker.dialects.registry import ANTHROPIC_MESSAGES, OPENAI_CHAT
from portbroker.errors import CallError, GatewayError
from portbroker.facts import Facts
from portbroker.snapshot import ListedModel, Snapshot

_PAGE = 20
_LONGEST_PAGE = 1000
_PAGING = ("limit", "after_id", "before_id")
_OF_ANTHROPIC = ("claude", "anthropic")


def models_dialect(headers: Mapping[str, str], query: Mapping[str, str]) -> Dialect:
    """The dialect of a client that asks for models: only Anthropic's names its version, and turns pages."""
    anthropic = (
        "anthropic-version" in headers
        or ("x-api-key" in headers and "authorization" not in headers)
        or any(word in query for word in _PAGING)
    )
    return ANTHROPIC_MESSAGES if anthropic else OPENAI_CHAT


def list_page(dialect: Dialect, query: Mapping[str, str], listed: Sequence[ListedModel]) -> Json:
    """The models, or the page of them that was asked for. Raises `CallError` for a page that cannot be."""
    if dialect is OPENAI_CHAT:
        return {"object": "list", "data": [_openai(model) for model in listed]}
    page, more = _page(_with_aliases(listed), query)
    return {
        "data": [_anthropic(model) for model in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def one_model(name: str, dialect: Dialect, headers: Mapping[str, str], snapshot: Snapshot) -> Json:
    """What is known of a model that can be asked for, listed or not. Raises `CallError` (404) for any other."""
    listed = next((model for model in _with_aliases(snapshot.listed) if model.id == name), None)
    found = listed or _served(name, headers, snapshot)
    return _openai(found) if dialect is OPENAI_CHAT else _anthropic(found)


def _served(name: str, headers: Mapping[str, str], snapshot: Snapshot) -> ListedModel:
    """A name that only a pattern serves, with what is known of the model that would be asked first."""
    call = Call(b"{}", {"model": name}, name, stream=False, dialect=OPENAI_CHAT)
    try:
        target = snapshot.resolve(Facts(call, headers)).targets[0]
    except CallError:
        raise
    except GatewayError as error:
        raise CallError(str(error), kind="not_found", status=404, param="model", code="model_not_found") from error
    known = target.fieldmap.facts
    return ListedModel(name, target.provider.name, 0, known.context_window, known.max_output_tokens)


def _with_aliases(listed: Sequence[ListedModel]) -> list[ListedModel]:
    """The models, and a second name for those that Claude Code would not show: it looks at how a name begins."""
    others = [model for model in listed if not model.id.startswith(_OF_ANTHROPIC)]
    return [*listed, *(replace(model, id=ALIAS + model.id, title=model.id) for model in others)]


def _page(models: list[ListedModel], query: Mapping[str, str]) -> tuple[list[ListedModel], bool]:
    """What comes right after one model, or right before one; and whether there is more in that direction."""
    limit = _limit(query)
    if (before := query.get("before_id")) is not None:
        earlier = models[: _place(before, "before_id", models)]
        return earlier[-limit:], len(earlier) > limit
    if (after := query.get("after_id")) is not None:
        models = models[_place(after, "after_id", models) + 1 :]
    return models[:limit], len(models) > limit


def _place(name: str, word: str, models: Sequence[ListedModel]) -> int:
    place = next((at for at, model in enumerate(models) if model.id == name), None)
    if place is None:
        raise CallError(f"{word}: the model {name[:100]!r} is not in the list", param=word)
    return place


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(_PAGE))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= _LONGEST_PAGE:
        raise CallError(f"limit: must be a whole number from 1 to {_LONGEST_PAGE}", param="limit")
    return int(text)


def _openai(model: ListedModel) -> Json:
    known = {"context_window": model.context_window, "max_output_tokens": model.max_output_tokens}
    shown: Json = {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner}
    return {**shown, **{name: value for name, value in known.items() if value}}


def _anthropic(model: ListedModel) -> Json:
    created = datetime.datetime.fromtimestamp(model.created, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known = {"max_input_tokens": model.context_window, "max_tokens": model.max_output_tokens}
    shown = {"type": "model", "id": model.id, "display_name": model.title or model.id, "created_at": created}
    return {**shown, **{name: value for name, value in known.items() if value}}
