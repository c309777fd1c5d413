"""An Anthropic client's body as a conversation: nearly the same thing, since the canonical form is shaped like it.

The one rule: blocks stay the client's own dicts. They are checked once, here, and never copied or changed.
"""

from functools import lru_cache
from typing import Any, Final

from portbroker.conversation import AnswerContext, Block, Conversation, Json, Lasting, Report, Tool, Turn
from portbroker.dialects.anthropic_messages.shapes import (
    NUMBER,
    Fields,
    check_block,
    check_fields,
    check_tool,
    expect,
    refuse,
)
from portbroker.dialects.anthropic_messages.tool_changes import CHANGES, apply_changes, changes_of
from portbroker.errors import CallError

BILLING_LINE: Final = "x-anthropic-billing-header:"

# Read into fields of their own; everything else is a parameter.
_STRUCTURE: Final = frozenset({"model", "system", "messages", "tools", "tool_choice", "stream"})
_TYPES: Final[Fields] = {
    "model": str, "stream": bool, "max_tokens": int, "temperature": NUMBER, "top_p": NUMBER, "top_k": int,
    "stop_sequences": list, "metadata": dict, "service_tier": str, "speed": str, "thinking": dict,
    "output_config": dict, "output_format": dict, "tools": list, "tool_choice": dict,
}  # fmt: skip
_INNER_TYPES: Final[dict[str, Fields]] = {
    "metadata": {"user_id": str},
    "thinking": {"type": str, "budget_tokens": int, "display": str},
    "output_config": {"effort": str, "format": dict},
    "tool_choice": {"type": str, "name": str, "disable_parallel_tool_use": bool},
}
# The parameters that have something inside; most calls have none of them.
_STRUCTURED: Final = frozenset({*_INNER_TYPES, "stop_sequences", "output_format"})
_CHANGING: Final = CHANGES | {"compaction"}
_CHOICES: Final = ("auto", "any", "tool", "none")
_ROLES: Final = ("user", "assistant", "system")
_THINKING: Final = frozenset({"enabled", "adaptive", "between_tools"})
_NOTHING_ELSE: Final[Json] = {}  # of a message with a role and content: shared, since nobody changes it


def decode_request(body: Json, report: Report) -> Conversation:
    """What an Anthropic client asks for. Raises `CallError` for what cannot be read or honoured at all."""
    _refuse_unhonoured(body)
    _check_parameters(body)
    turns = _turns(body)
    tools = _tools(body)
    kinds = {block.data["type"] for turn in turns for block in turn.blocks}
    changes: list[tuple[Json, str]] = []
    if not kinds.isdisjoint(_CHANGING):
        changes = [change for turn in turns for block in turn.blocks for change in changes_of(block)]
    return Conversation(
        model=body["model"],
        system=_without_billing([] if body.get("system") is None else _blocks(body["system"], "system")),
        turns=turns if kinds.isdisjoint(CHANGES) and all(t.role != "system" for t in turns) else _shown(turns),
        tools=apply_changes(tools, changes, report) if changes else tools,
        tool_choice=body.get("tool_choice"),
        params={name: value for name, value in body.items() if name not in _STRUCTURE and value is not None},
        stream=body.get("stream") is True,
        answer=_answer(body),
    )


def _refuse_unhonoured(body: Json) -> None:
    """A compaction block or a stored thread cannot be invented; to leave them out would lose the conversation."""
    if body.get("compaction") is not None:
        raise CallError("compaction requests are not supported by this gateway", param="compaction")
    if body.get("thread") is not None:
        raise CallError(
            "message threads are not supported by this gateway: send the whole conversation",
            param="thread",
            code="thread_unsupported_request",
        )


def _check_parameters(body: Json) -> None:
    if not body.get("model"):
        refuse("model", "is missing")
    check_fields(body, _TYPES)
    if (body.get("max_tokens") or 0) < 0:
        refuse("max_tokens", "must be 0 or more")
    if not _STRUCTURED.isdisjoint(body):
        _check_inside(body)


def _check_inside(body: Json) -> None:
    """Refuses parameters in which something is not what it must be."""
    for name, fields in _INNER_TYPES.items():
        if body.get(name) is not None:
            check_fields(body[name], fields, name)
    for index, stop in enumerate(body.get("stop_sequences") or ()):
        expect(stop, str, f"stop_sequences[{index}]")
    _check_format((body.get("output_config") or {}).get("format"), "output_config.format")
    _check_format(body.get("output_format"), "output_format")
    _check_choice(body.get("tool_choice"))


def _check_format(wanted: Json | None, param: str) -> None:
    if wanted is not None:
        expect(wanted.get("type"), str, f"{param}.type")
        check_fields(wanted, {"schema": dict}, param)
        if wanted["type"] == "json_schema" and wanted.get("schema") is None:
            refuse(f"{param}.schema", "is missing")


def _check_choice(choice: Json | None) -> None:
    if choice is None:
        return
    if choice.get("type") not in _CHOICES:
        refuse("tool_choice.type", f"must be one of {', '.join(_CHOICES)}")
    if choice["type"] == "tool" and not choice.get("name"):
        refuse("tool_choice.name", "is missing")


def _tools(body: Json) -> list[Tool]:
    declared = body.get("tools")
    if not declared:
        return []
    if not isinstance(declared, Lasting):
        return _declared(declared)
    if "tools" not in declared.made:
        declared.made["tools"] = Lasting(_declared(declared))
    known: list[Tool] = declared.made["tools"]
    return known


def _declared(tools: list[Any]) -> list[Tool]:
    read = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        check_tool(tool, path)
        read.append(Tool(tool, path))
    return read


def _turns(body: Json) -> list[Turn]:
    messages = body.get("messages")
    if messages is None:
        refuse("messages", "is missing")
    expect(messages, list, "messages")
    if not messages:
        refuse("messages", "must hold at least one message")
    return [_turn(message, _place(index)) for index, message in enumerate(messages)]


@lru_cache(maxsize=4096)
def _place(index: int) -> str:
    return f"messages[{index}]"


def _turn(message: Any, path: str) -> Turn:
    if not isinstance(message, dict):
        refuse(path, "must be an object")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        refuse(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
    if content is None:
        refuse(f"{path}.content", "is missing")
    if len(message) == 2:
        return Turn(role, _blocks(content, path), path, _NOTHING_ELSE)
    data = {k: v for k, v in message.items() if k not in ("role", "content")}
    if role == "system" and data.get("output_config") is not None:
        expect(data["output_config"], dict, f"{path}.output_config")
        check_fields(data["output_config"], {"effort": str}, f"{path}.output_config")
    return Turn(role, _blocks(content, path), path, data)


def _blocks(content: Any, place: str) -> list[Block]:
    """The blocks of a message, or of the system prompt; a string is one block of text."""
    if type(content) is str:
        return [Block({"type": "text", "text": content}, place, "" if place == "system" else "content")]
    if type(content) is not list:
        expect(content, (str, list), _content(place))
    blocks = []
    for index, data in enumerate(content):
        # Nearly every block is one of these, and a coding agent sends hundreds of them with each call.
        if type(data) is not dict or not _is_common(data):
            check_block(data, f"{_content(place)}[{index}]")
        blocks.append(Block(data, place, index))
    return blocks


def _content(place: str) -> str:
    return place if place == "system" else f"{place}.content"


def _is_common(data: Json) -> bool:
    """Whether a block is text, a call of a tool or its result in text, and as `check_block` would have it."""
    kind, get = data.get("type"), data.get
    if kind == "text":
        return type(get("text")) is str
    if kind == "tool_result":
        return type(get("tool_use_id")) is str and type(get("content")) is str and type(get("is_error", False)) is bool
    return kind == "tool_use" and type(get("id")) is str and type(get("name")) is str and type(get("input")) is dict


def _shown(turns: list[Turn]) -> list[Turn]:
    """The turns that the model is to see: without directives, which are applied, and texts that are over."""
    last_user = max((index for index, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [turn for turn in (_seen(turn, over=index < last_user) for index, turn in enumerate(turns)) if turn]


def _seen(turn: Turn, over: bool) -> Turn | None:
    """A turn as the model is to see it; None when nothing is left of it."""
    blocks = turn.blocks
    if turn.role == "system" and over and turn.data.get("clear_at") == "next_user_message":
        blocks = []  # only the text is over: the effort that stands beside it holds on
    elif any(block.kind in CHANGES for block in blocks):
        blocks = [block for block in blocks if block.kind not in CHANGES]
    if blocks is turn.blocks:
        return turn
    return Turn(turn.role, blocks, turn.path, turn.data) if blocks or "output_config" in turn.data else None


def _without_billing(system: list[Block]) -> list[Block]:
    """The system prompt without Claude Code's first line: its nonce changes with every call, so no cache would hit."""
    for index, block in enumerate(system):
        text = block.data.get("text")
        if not isinstance(text, str) or not text.strip():
            continue
        if not text.startswith(BILLING_LINE):
            return system
        rest = text.partition("\n")[2]
        kept = [Block({**block.data, "text": rest}, block.place, block.spot)] if rest.strip() else []
        return [*system[:index], *kept, *system[index + 1 :]]
    return system


def _answer(body: Json) -> AnswerContext:
    """What the body says about the answer. Thinking that was not asked for would surprise a client."""
    thinking = body.get("thinking") or {}
    return AnswerContext(
        request_model=body["model"],
        thinking_requested=thinking.get("type") in _THINKING,
        thinking_omitted=thinking.get("display") == "omitted",
        stop_sequences=tuple(body.get("stop_sequences") or ()),
    )
