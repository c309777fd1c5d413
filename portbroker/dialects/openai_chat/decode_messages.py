"""The messages of a chat call: what leads to the system prompt, everything after it to one canonical turn each.

The one rule: turns stay as the client wrote them. Merging, pairing and order are the target's business.
"""

from dataclasses import dataclass, field
from typing import Literal

from portbroker.conversation import Block, Json, Report, Turn
from portbroker.dialects.arguments import parse_arguments
from portbroker.dialects.envelope import PLAIN
from portbroker.dialects.openai_chat.decode_parts import decode_content, decode_result
from portbroker.dialects.reading import list_in, object_in, optional_list, refuse, text_in


@dataclass(slots=True)
class Messages:
    """What the messages say. `waiting` holds id and name of each `function_call` that has no result yet."""

    report: Report
    system: list[Block] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)

    def read(self, message: Json, index: int) -> None:
        place = f"messages[{index}]"
        match message.get("role"):
            case "user":
                self._add("user", decode_content(message.get("content"), place, self.report), place)
            case "assistant":
                self._add("assistant", self._assistant(message, place, index), place)
            case "tool":
                self._result(_call_id(message, place), message, place)
            case "system" | "developer":
                self._system(message, place)
            case "function":
                self._result(self._waiting_id(message, place, index), message, place)
            case _:
                refuse(f"{place}.role", "one of system, developer, user, assistant, tool and function")

    def _add(self, role: Literal["user", "assistant", "system"], blocks: list[Block], place: str) -> None:
        self.turns.append(Turn(role, blocks, place))

    def _system(self, message: Json, place: str) -> None:
        blocks = decode_content(message.get("content"), place, self.report)
        if self.turns:
            self._add("system", blocks, place)
        else:
            self.system += blocks

    def _result(self, call_id: str, message: Json, place: str) -> None:
        content = decode_result(message.get("content"), place, self.report)
        self._add("user", [Block({"type": "tool_result", "tool_use_id": call_id, **content}, place)], place)

    def _waiting_id(self, message: Json, place: str, index: int) -> str:
        """The id of the oldest open `function_call` of that name; an id that fits no call when there is none."""
        name = text_in(message.get("name"), f"{place}.name")
        found = next((pair for pair in self.waiting if pair[1] == name), (f"call_fn_{index}", name))
        self.waiting = [pair for pair in self.waiting if pair is not found]
        return found[0]

    def _assistant(self, message: Json, place: str, index: int) -> list[Block]:
        blocks = decode_reasoning(message, place)
        content = message.get("content")
        if content is not None:
            blocks += decode_content(content, place, self.report)
        if not content and isinstance(message.get("refusal"), str):
            blocks.append(Block({"type": "text", "text": message["refusal"], "_refusal": True}, place, "refusal"))
        if message.get("audio") is not None:
            self.report.add("dropped", f"{place}.audio")
        return blocks + self._calls(message, place, index)

    def _calls(self, message: Json, place: str, index: int) -> list[Block]:
        spots = enumerate(optional_list(message.get("tool_calls"), f"{place}.tool_calls"))
        blocks = [self._call(call, place, f"tool_calls[{position}]") for position, call in spots]
        if message.get("function_call") is not None:
            blocks.append(self._function_call(message["function_call"], place, f"call_fn_{index}"))
        return blocks

    def _call(self, value: object, place: str, spot: str) -> Block:
        path = f"{place}.{spot}"
        call = object_in(value, path)
        call_id = text_in(call.get("id") or "", f"{path}.id")
        if call.get("type") == "custom":
            custom = object_in(call.get("custom"), f"{path}.custom")
            name = text_in(custom.get("name"), f"{path}.custom.name")
            text = text_in(custom.get("input"), f"{path}.custom.input")
            data = {"type": "tool_use", "id": call_id, "name": name, "input": {"input": text}, "_custom": True}
            return Block(data, place, spot)
        function = object_in(call.get("function"), f"{path}.function")
        return Block(self._use(call_id, function, f"{path}.function"), place, spot)

    def _function_call(self, value: object, place: str, call_id: str) -> Block:
        path = f"{place}.function_call"
        data = self._use(call_id, object_in(value, path), path)
        self.waiting.append((call_id, data["name"]))
        return Block(data, place, "function_call")

    def _use(self, call_id: str, function: Json, path: str) -> Json:
        arguments = function.get("arguments")
        value, valid = parse_arguments(arguments)
        if not valid:
            self.report.add("invalid", f"{path}.arguments")
        use = {
            "type": "tool_use",
            "id": call_id,
            "name": text_in(function.get("name"), f"{path}.name"),
            "input": value,
        }
        return {**use, "_arguments": arguments} if isinstance(arguments, str) else use


def decode_messages(value: object, report: Report) -> Messages:
    """The system prompt and the turns. Raises `CallError` for what is no list of messages."""
    messages = Messages(report)
    listed = list_in(value, "messages")
    if not listed:
        refuse("messages", "at least one message")
    for index, message in enumerate(listed):
        messages.read(object_in(message, f"messages[{index}]"), index)
    return messages


def _call_id(message: Json, place: str) -> str:
    return text_in(message.get("tool_call_id") or "", f"{place}.tool_call_id")


def decode_reasoning(message: Json, place: str) -> list[Block]:
    """Earlier thinking that the client sends back: as blocks of Anthropic's own where it bears their signature.

    Unsigned reasoning becomes one thinking block that says it came without state; `_details` keeps what others gave.
    """
    given = message.get("reasoning_details")
    details = [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []
    signed = _signed(details)
    if signed:
        return [Block(data, place, "reasoning_details") for data in signed]
    text = message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(text, str) and not details:
        return []
    data: Json = {"type": "thinking", "thinking": text if isinstance(text, str) else "", "signature": PLAIN}
    return [Block({**data, "_details": details} if details else data, place, "reasoning_content")]


def _signed(details: list[Json]) -> list[Json]:
    """Anthropic's thinking blocks; a client that only appends what it streams sends text and signature apart."""
    blocks: list[Json] = []
    unsigned: Json = {}  # the thinking block whose signature may still come, and its index
    index: object = None
    for entry in details:
        kind = str(entry.get("type"))
        if not str(entry.get("format")).startswith("anthropic"):  # not equal: stream accumulators repeat the string
            continue
        if kind.startswith("reasoning.encrypted") and isinstance(entry.get("data"), str):
            blocks.append({"type": "redacted_thinking", "data": entry["data"]})
        elif kind.startswith("reasoning.text"):
            if not unsigned or index is None or index != entry.get("index"):
                blocks.append(unsigned := {"type": "thinking", "thinking": "", "signature": ""})
            index = entry.get("index")
            unsigned["thinking"] += _string(entry.get("text"))
            unsigned["signature"] = _string(entry.get("signature"))
            unsigned = {} if unsigned["signature"] else unsigned
    return [block for block in blocks if block["type"] == "redacted_thinking" or block["signature"]]


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
