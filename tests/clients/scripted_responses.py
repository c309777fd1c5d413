"""A provider that follows a script in the Responses API too, as OpenAI's own streams go.

The one rule: as in `scripted`, what comes next is read from the conversation, never remembered.
"""

import json
from collections.abc import Iterator
from itertools import pairwise

from aiohttp import web

from portbroker.conversation import mint
from tests.clients.scripted import USAGE, ToolCall, Turn, scripted
from tests.providers import Behaviour, Json, events

_CALLS = ("function_call", "custom_tool_call")


def speaking(*turns: Turn) -> Behaviour:
    """The turn that the conversation has come to, whatever is asked for: `/responses` here, the rest as `scripted`."""
    others = scripted(*turns, aside=turns[0])

    async def behave(request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/responses"):
            return await others(request)
        body = await request.json()
        turn = turns[min(_answered(body["input"]), len(turns) - 1)]
        if not body.get("stream"):
            return web.json_response(response(turn))
        reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await reply.prepare(request)
        for piece in response_events(turn):
            await reply.write(piece)
        return reply

    return behave


def _answered(items: str | list[Json]) -> int:
    """How many turns with calls the conversation holds: runs of calls."""
    kinds = ["x", *(item.get("type", "message") for item in items if isinstance(item, dict))]
    return sum(b in _CALLS and a not in _CALLS for a, b in pairwise(kinds))


def _items(turn: Turn) -> Iterator[Json]:
    if turn.thinking:
        summary = [{"type": "summary_text", "text": turn.thinking}]
        yield {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": turn.signature}
    if turn.text:
        part = {"type": "output_text", "text": turn.text, "annotations": []}
        yield {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    for number, call in enumerate(turn.calls):
        yield _call(call, number)


def _call(call: ToolCall, number: int) -> Json:
    head = {"call_id": call.id, "status": "completed"}
    if not call.free:
        said = {"name": call.name, "arguments": json.dumps(call.arguments)}
        return {"type": "function_call", "id": f"fc_{number}", **head, **said}
    namespace, _, name = call.name.rpartition("__")
    said = {"name": name, "input": call.arguments["input"], **({"namespace": namespace} if namespace else {})}
    return {"type": "custom_tool_call", "id": f"ctc_{number}", **head, **said}


def response(turn: Turn) -> Json:
    """The turn as a whole response."""
    return {
        "id": mint("resp_"),
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "scripted",
        "output": list(_items(turn)),
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": USAGE["input"] + USAGE["cached"],
            "input_tokens_details": {"cached_tokens": USAGE["cached"], "cache_write_tokens": 0},
            "output_tokens": USAGE["output"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(USAGE.values()),
        },
    }


def response_events(turn: Turn) -> Iterator[bytes]:
    """The turn as a streamed response, in small pieces."""
    whole = response(turn)
    begun = {**whole, "output": [], "status": "in_progress", "usage": None}
    told: list[Json] = [{"type": "response.created", "response": begun}]
    for place, item in enumerate(whole["output"]):
        told += _item_events(place, item)
    told.append({"type": "response.completed", "response": whole})
    return (events({**event, "sequence_number": number}) for number, event in enumerate(told))


def _item_events(place: int, item: Json) -> Iterator[Json]:
    where: Json = {"item_id": item["id"], "output_index": place}
    bare = {key: [] if isinstance(value, list) else value for key, value in item.items() if key != "encrypted_content"}
    yield {"type": "response.output_item.added", "output_index": place, "item": {**bare, **_blank(item)}}
    if item["type"] == "reasoning":
        part = item["summary"][0]
        first: Json = {**where, "summary_index": 0}
        yield {"type": "response.reasoning_summary_part.added", **first, "part": {**part, "text": ""}}
        yield from _deltas("reasoning_summary_text", first, part["text"])
        yield {"type": "response.reasoning_summary_text.done", **first, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **first, "part": part}
    elif item["type"] == "message":
        part = item["content"][0]
        first = {**where, "content_index": 0}
        yield {"type": "response.content_part.added", **first, "part": {**part, "text": ""}}
        yield from _deltas("output_text", {**first, "logprobs": []}, part["text"])
        yield {"type": "response.output_text.done", **first, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **first, "part": part}
    elif item["type"] == "custom_tool_call":
        yield from _deltas("custom_tool_call_input", where, item["input"])
        yield {"type": "response.custom_tool_call_input.done", **where, "input": item["input"]}
    else:
        yield from _deltas("function_call_arguments", where, item["arguments"])
        yield {"type": "response.function_call_arguments.done", **where, "arguments": item["arguments"]}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _blank(item: Json) -> Json:
    said = {"function_call": "arguments", "custom_tool_call": "input"}.get(item["type"])
    return {said: "", "status": "in_progress"} if said else {}


def _deltas(kind: str, where: Json, text: str, size: int = 7) -> Iterator[Json]:
    return (
        {"type": f"response.{kind}.delta", **where, "delta": text[at : at + size]} for at in range(0, len(text), size)
    )
