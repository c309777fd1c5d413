"""The items of a Responses call: each to a canonical turn, or to tools.

The one rule: an item that means nothing elsewhere is reported and never refused. Turns stay as the client wrote them;
merging, pairing and order are the target's business.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from portbroker.conversation import Block, Json, Report, Turn
from portbroker.dialects.arguments import parse_arguments
from portbroker.dialects.envelope import PLAIN, is_envelope, unwrap
from portbroker.dialects.openai_responses.decode_content import decode_content, decode_output
from portbroker.dialects.openai_responses.decode_tools import Tools
from portbroker.dialects.reading import list_in, object_in, refuse, text_in

_ROLES: dict[str, Literal["user", "assistant", "system"]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


class Items:
    """The turns that the items of one call make."""

    def __init__(self, tools: Tools, report: Report) -> None:
        self.turns: list[Turn] = []
        self._tools = tools
        self._report = report

    def read(self, value: object) -> None:
        """Read `input`: a string, or a list of items."""
        if isinstance(value, str):
            self._add("user", Block({"type": "text", "text": value}, "input"))
        elif value is None:
            refuse("input", "a string or an array of items")
        else:
            for index, item in enumerate(list_in(value, "input")):
                self._item(object_in(item, f"input[{index}]"), f"input[{index}]")

    def _item(self, item: Json, place: str) -> None:
        kind = item.get("type") or ("message" if "role" in item else None)
        read = self._READERS.get(kind) if isinstance(kind, str) else None
        if read is not None:
            read(self, item, place)
        else:
            self._report.add("dropped", place)

    def _add(self, role: Literal["user", "assistant", "system"], *blocks: Block) -> None:
        self.turns.append(Turn(role, list(blocks), blocks[0].place))

    def _message(self, item: Json, place: str) -> None:
        role = item.get("role")
        known = _ROLES.get(role) if isinstance(role, str) else None
        if known is None:
            self._report.add("dropped", place)
        elif blocks := decode_content(item.get("content"), place, self._report):
            self._add(known, *blocks)

    def _function_call(self, item: Json, place: str) -> None:
        arguments = item.get("arguments")
        given, valid = parse_arguments(arguments)
        if not valid:
            self._report.add("invalid", f"{place}.arguments")
        use = self._use(item, place, "function", given)
        self._add("assistant", Block({**use, "_arguments": arguments} if isinstance(arguments, str) else use, place))

    def _custom_call(self, item: Json, place: str) -> None:
        text = text_in(item.get("input"), f"{place}.input")
        self._add("assistant", Block({**self._use(item, place, "custom", {"input": text}), "_custom": True}, place))

    def _use(self, item: Json, place: str, kind: str, given: Json) -> Json:
        name, namespace = text_in(item.get("name"), f"{place}.name"), item.get("namespace")
        flat = self._tools.names.put(name, namespace if isinstance(namespace, str) else "", kind)
        return {"type": "tool_use", "id": _call_id(item, place), "name": flat, "input": given}

    def _output(self, item: Json, place: str) -> None:
        content = decode_output(item.get("output"), place, self._report)
        self._add("user", Block({"type": "tool_result", "tool_use_id": _call_id(item, place), **content}, place))

    def _reasoning(self, item: Json, place: str) -> None:
        if block := decode_reasoning(item):
            self._add("assistant", Block(block, place))

    def _more_tools(self, item: Json, place: str) -> None:
        self._tools.add(item.get("tools"), f"{place}.tools")

    _READERS: ClassVar[dict[str, Callable[["Items", Json, str], None]]] = {
        "message": _message,
        "function_call": _function_call,
        "function_call_output": _output,
        "custom_tool_call": _custom_call,
        "custom_tool_call_output": _output,
        "reasoning": _reasoning,
        "additional_tools": _more_tools,
        "tool_search_output": _more_tools,
    }


def _call_id(item: Json, place: str) -> str:
    return text_in(item.get("call_id") or "", f"{place}.call_id")


def decode_reasoning(item: Json) -> Json | None:
    """A reasoning item as the thinking block that it was, or as one that only says what can be read of it.

    State that another than this gateway encrypted means nothing elsewhere, and goes in silence.
    """
    text = _told(item.get("content")) or _told(item.get("summary"))
    sealed = item.get("encrypted_content")
    if not is_envelope(sealed):
        return {"type": "thinking", "thinking": text, "signature": PLAIN} if text else None
    state = unwrap(sealed) or {}
    if state.get("k") == "an":
        return _anthropic(state, text)
    if state.get("k") == "rc":
        return {"type": "thinking", "thinking": _kept(state, text), "signature": PLAIN}
    return {"type": "thinking", "thinking": text, "signature": sealed}


def _anthropic(state: Json, text: str) -> Json | None:
    """The block as Anthropic signed it; `r` is a redacted one."""
    if isinstance(state.get("r"), str):
        return {"type": "redacted_thinking", "data": state["r"]}
    signature = state.get("s")
    if not isinstance(signature, str):
        return None
    return {"type": "thinking", "thinking": _kept(state, text), "signature": signature}


def _kept(state: Json, text: str) -> str:
    """The text of a block: in the envelope (`t`) where the client was not shown it."""
    hidden = state.get("t")
    return hidden if isinstance(hidden, str) else text


def _told(parts: Any) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)
