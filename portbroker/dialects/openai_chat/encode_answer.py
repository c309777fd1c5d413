"""A canonical answer as one chat completion.

The one rule: what a chat client has no word for is left out in silence only where it never asked for it.
"""

from portbroker.conversation import AnswerContext, Json, Report
from portbroker.dialects.custom_tools import free_text
from portbroker.dialects.openai_chat.encode_stream import StreamEncoder
from portbroker.dialects.openai_chat.told_parts import (
    REASONING_FORMAT,
    REFUSAL,
    annotation,
    compact,
    completion_id,
    finish_reason,
    real_name,
    sealed,
    told_tier,
    told_usage,
)

__all__ = ["StreamEncoder", "encode_answer"]


def encode_answer(answer: Json, context: AnswerContext, report: Report) -> Json:
    """The answer as a chat client reads it: one choice."""
    usage = answer.get("usage") or {}
    stop = answer.get("stop_reason")
    if stop == "pause_turn":
        report.add("degraded", "stop_reason")
    message = _message(answer, context, report)
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason(stop, "tool_calls" in message),
    }
    completion = {
        "id": completion_id(answer["id"]),
        "object": "chat.completion",
        "created": context.created,
        "model": context.request_model or answer["model"],
        "choices": [choice],
        "usage": told_usage(usage),
    }
    if tier := told_tier(usage):
        completion["service_tier"] = tier
    return completion


def _message(answer: Json, context: AnswerContext, report: Report) -> Json:
    blocks: list[Json] = answer["content"]
    text, annotations = _text(blocks, report)
    calls = [
        _call(block, f"content[{index}]", context, report)
        for index, block in enumerate(blocks)
        if block["type"] == "tool_use"
    ]
    message: Json = {"role": "assistant", "content": text or (None if calls else ""), "refusal": _refusal(answer)}
    if annotations:
        message["annotations"] = annotations
    if calls:
        message["tool_calls"] = calls
    return message | _reasoning(blocks)


def _text(blocks: list[Json], report: Report) -> tuple[str, list[Json]]:
    """All text, and what it cites, with places in all text."""
    text = ""
    annotations: list[Json] = []
    for index, block in enumerate(blocks):
        if block["type"] != "text":
            continue
        start, text = len(text), text + block["text"]
        citations = block.get("citations") or ()
        told = [annotation(citation, start, len(text)) for citation in citations]
        annotations += filter(None, told)
        if None in told:
            report.add("dropped", f"content[{index}].citations")
    return text, annotations


def _refusal(answer: Json) -> str | None:
    if answer.get("stop_reason") != "refusal":
        return None
    details = answer.get("stop_details")
    said = details.get("explanation") if isinstance(details, dict) else None
    return said if isinstance(said, str) and said else REFUSAL


def _call(block: Json, path: str, context: AnswerContext, report: Report) -> Json:
    name = real_name(block["name"], context)
    if name not in context.custom_tools:
        return {
            "id": block["id"],
            "type": "function",
            "function": {"name": name, "arguments": compact(block["input"])},
        }
    text, kept = free_text(block["input"])
    if not kept:
        report.add("invalid", f"{path}.input")
    return {"id": block["id"], "type": "custom", "custom": {"name": name, "input": text}}


def _reasoning(blocks: list[Json]) -> Json:
    """What the model thought, for people as text and for the next turn as it was signed."""
    thoughts = [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
    details: list[Json] = []
    for index, block in enumerate(thoughts):
        if block["type"] == "redacted_thinking":
            details.append(sealed(block["data"], index))
        elif signature := block.get("signature"):
            signed = {"type": "reasoning.text", "text": block["thinking"], "signature": signature}
            details.append({**signed, "format": REASONING_FORMAT, "index": index})
    reasoning: Json = {}
    if text := "\n\n".join(filter(None, (block.get("thinking") for block in thoughts))):
        reasoning["reasoning_content"] = text
    if details:
        reasoning["reasoning_details"] = details
    return reasoning
