"""What a provider asks of the order and the form of finished messages.

The one rule: these are switches of a preset; a plain provider gets the messages as they are. The messages are ours and
may be changed in place.
"""

import hashlib
import re
from typing import Final

from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.dialects.openai_chat.encode_parts import joined

BRIDGE: Final = "Understood."

_BASE62: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MISTRAL_ID: Final = re.compile(r"[A-Za-z0-9]{9}")


def arrange(messages: list[Json], options: Options, report: Report) -> tuple[list[Json], Json]:
    """The messages as the provider wants them, and the keys that this adds to the body."""
    if options.merge_adjacent:
        messages = _merge_users(messages)
    if options.user_after_tool == "bridge":
        messages = _bridge(messages)
    if options.tool_id == "mistral9":
        _rename_ids(messages)
    return messages, _prefill(messages, options, report)


def _merge_users(messages: list[Json]) -> list[Json]:
    merged: list[Json] = []
    for message in messages:
        if merged and message["role"] == merged[-1]["role"] == "user":
            merged[-1] = {**merged[-1], "content": joined(merged[-1]["content"], message["content"])}
        else:
            merged.append(message)
    return merged


def _bridge(messages: list[Json]) -> list[Json]:
    bridged: list[Json] = []
    for message in messages:
        if bridged and message["role"] == "user" and bridged[-1]["role"] == "tool":
            bridged.append({"role": "assistant", "content": BRIDGE})
        bridged.append(message)
    return bridged


def _rename_ids(messages: list[Json]) -> None:
    for message in messages:
        if message["role"] == "tool":
            message["tool_call_id"] = mistral_id(message["tool_call_id"])
        for call in message.get("tool_calls", ()):
            call["id"] = mistral_id(call["id"])


def mistral_id(name: str) -> str:
    """Nine letters or digits: the id itself if it is that already, else a digest of it."""
    if _MISTRAL_ID.fullmatch(name):
        return name
    number = int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:8], "big")
    digits = []
    for _ in range(9):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def _prefill(messages: list[Json], options: Options, report: Report) -> Json:
    """Mark a last assistant message that the model is to go on with; chat itself has no word for it."""
    if not messages or messages[-1]["role"] != "assistant":
        return {}
    if options.prefill == "vllm":
        return {"add_generation_prompt": False, "continue_final_message": True}
    if options.prefill == "report":
        report.add("degraded", "prefill")
    else:
        messages[-1][options.prefill] = True
    return {}
