"""A provider that follows a script, in either dialect: what makes the loop of an agent testable.

The one rule: which turn comes next is read from the conversation that the client sends, never remembered, so that
retries, side calls and clients that run at once cannot lead the script astray.

    python -m tests.clients.scripted --port 9000 --record DIRECTORY

serves a script for coding agents (write a file, run a command, say so) and keeps each request body in DIRECTORY.
"""

import argparse
import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from aiohttp import web

from portbroker.conversation import mint
from tests.providers import Behaviour, Json, events, sse

_NO_THREADS: Json = {
    "type": "error",
    "error": {
        "type": "invalid_request_error",
        "message": "threads are not available here",
        "details": {"error_code": "thread_unsupported_request", "unsupported": ["organization_setting"]},
    },
}
USAGE = {"input": 40, "cached": 20, "output": 9}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the client's tools. `id` must be one that both dialects take.

    `free`: of a tool that takes free text, which is the argument `input`. A name may begin with a namespace and `__`.
    """

    name: str
    arguments: Json
    id: str = "call_1"
    free: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the script: thinking, then text, then calls, each only if there is any."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    signature: str = "c2lnbmF0dXJl"


def scripted(*turns: Turn, aside: Turn = Turn("A title")) -> Behaviour:
    """The turn that the conversation has come to; `aside` for calls without tools, such as those for titles.

    The last turn stays. `/messages` is answered as Anthropic would, everything else as Chat Completions.
    """

    async def behave(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if "thread" in body:
            return web.json_response(_NO_THREADS, status=400)
        turn = turns[min(_answered(body["messages"]), len(turns) - 1)] if body.get("tools") else aside
        return await _send(request, turn, stream=bool(body.get("stream")))

    return behave


def _answered(messages: list[Json]) -> int:
    """How many turns with calls the conversation holds."""
    return sum(m["role"] == "assistant" and _has_calls(m) for m in messages)


def _has_calls(message: Json) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return bool(message.get("tool_calls")) or any(block.get("type") == "tool_use" for block in blocks)


async def _send(request: web.Request, turn: Turn, *, stream: bool) -> web.StreamResponse:
    anthropic = request.path.endswith("/messages")
    if not stream:
        return web.json_response(anthropic_message(turn) if anthropic else chat_completion(turn))
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for piece in anthropic_events(turn) if anthropic else chat_chunks(turn):
        await response.write(piece)
    return response


def _pieces(text: str, size: int = 7) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


# Chat Completions


def _chat_usage() -> Json:
    return {
        "prompt_tokens": USAGE["input"] + USAGE["cached"],
        "completion_tokens": USAGE["output"],
        "total_tokens": sum(USAGE.values()),
        "prompt_tokens_details": {"cached_tokens": USAGE["cached"]},
    }


def _chat_call(call: ToolCall, arguments: str) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def chat_completion(turn: Turn) -> Json:
    """The turn as a whole Chat Completions answer."""
    message: Json = {"role": "assistant", "content": turn.text or None}
    if turn.thinking:
        message["reasoning_content"] = turn.thinking
    if turn.calls:
        message["tool_calls"] = [_chat_call(c, json.dumps(c.arguments)) for c in turn.calls]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if turn.calls else "stop"}
    head = {"id": mint("chatcmpl-"), "object": "chat.completion", "created": 1, "model": "scripted"}
    return {**head, "choices": [choice], "usage": _chat_usage()}


def chat_chunks(turn: Turn) -> Iterator[bytes]:
    """The turn as a streamed Chat Completions answer, in small pieces."""
    deltas = [{"role": "assistant", "content": ""}, *_chat_deltas(turn)]
    head = {"id": mint("chatcmpl-"), "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    for delta in deltas:
        yield sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    finish = "tool_calls" if turn.calls else "stop"
    yield sse({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    yield sse({**head, "choices": [], "usage": _chat_usage()}, "[DONE]")


def _chat_deltas(turn: Turn) -> Iterator[Json]:
    yield from ({"reasoning_content": piece} for piece in _pieces(turn.thinking))
    yield from ({"content": piece} for piece in _pieces(turn.text))
    for index, call in enumerate(turn.calls):
        yield {"tool_calls": [{"index": index, **_chat_call(call, "")}]}
        for piece in _pieces(json.dumps(call.arguments)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


# Anthropic Messages


def _anthropic_usage() -> Json:
    return {
        "input_tokens": USAGE["input"],
        "cache_read_input_tokens": USAGE["cached"],
        "cache_creation_input_tokens": 0,
        "output_tokens": USAGE["output"],
    }


def _blocks(turn: Turn) -> Iterator[Json]:
    if turn.thinking:
        yield {"type": "thinking", "thinking": turn.thinking, "signature": turn.signature}
    if turn.text:
        yield {"type": "text", "text": turn.text}
    for call in turn.calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}


def anthropic_message(turn: Turn) -> Json:
    """The turn as a whole Anthropic message."""
    return {
        "id": mint("msg_"),
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": list(_blocks(turn)),
        "stop_reason": "tool_use" if turn.calls else "end_turn",
        "stop_sequence": None,
        "usage": _anthropic_usage(),
    }


def anthropic_events(turn: Turn) -> Iterator[bytes]:
    """The turn as a streamed Anthropic message, in small pieces."""
    whole = anthropic_message(turn)
    started = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield events({"type": "message_start", "message": started})
    yield events({"type": "ping"})
    for index, block in enumerate(whole["content"]):
        empty, deltas = _opened(block)
        yield events({"type": "content_block_start", "index": index, "content_block": empty})
        for delta in deltas:
            yield events({"type": "content_block_delta", "index": index, "delta": delta})
        yield events({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield events({"type": "message_delta", "delta": delta, "usage": whole["usage"]}, {"type": "message_stop"})


def _opened(block: Json) -> tuple[Json, Iterable[Json]]:
    """A block as its start shows it, and the deltas that fill it."""
    kind = block["type"]
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*deltas, signed]
    if kind == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
    text = json.dumps(block["input"])
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(text)]


# by hand


@dataclass
class Recorder:
    """Keeps each request with its headers (but for the credentials) in a file, and answers by the script."""

    directory: Path | None
    behave: Behaviour
    number: Iterator[int] = field(default_factory=lambda: count(1))

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return web.json_response({"status": "ok"})
        if self.directory:
            headers = {
                n.lower(): v for n, v in request.headers.items() if n.lower() not in ("authorization", "x-api-key")
            }
            seen = {"path": request.path_qs, "headers": headers, "body": await request.json()}
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / f"{next(self.number):03}.json"
            path.write_text(json.dumps(seen, indent=1, ensure_ascii=False))
        return await self.behave(request)


def coding(directory: str) -> Behaviour:
    """What a coding agent is told: write a file in `directory`, look at it, and say what was done."""
    path = f"{directory}/hello.txt"
    return scripted(
        Turn("I write the file.", (ToolCall("Write", {"file_path": path, "content": "Hello from the script\n"}),)),
        Turn("Now I look at it.", (ToolCall("Bash", {"command": f"cat {path}", "description": "Show it"}, "call_2"),)),
        Turn("Done: hello.txt says hello."),
    )


async def _serve(port: int, recorder: Recorder) -> None:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", recorder)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve the coding script until interrupted."""
    parser = argparse.ArgumentParser(description="A scripted provider for trying coding agents.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--record", type=Path, help="a directory that keeps each request")
    parser.add_argument("--workdir", default=".", help="where the agent is told to write")
    arguments = parser.parse_args()
    recorder = Recorder(arguments.record, coding(str(Path(arguments.workdir).resolve())))
    asyncio.run(_serve(arguments.port, recorder))


if __name__ == "__main__":
    main()
