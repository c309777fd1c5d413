"""What an answer may hold: how each provider says it, and how each client would read it, whole and streamed."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from tests.clients.scripted import ToolCall, Turn, anthropic_events, anthropic_message, chat_chunks, chat_completion
from tests.clients.scripted_responses import response, response_events
from tests.matrix.asks import SCHEMA, A, C, R
from tests.providers import Json

CALLS = (ToolCall("weather", {"city": "Paris"}, "call_a"), ToolCall("weather", {"city": "Québec “1”\n"}, "call_b"))
WHOLE: Mapping[str, Callable[[Turn], Json]] = {A: anthropic_message, C: chat_completion, R: response}
STREAMED: Mapping[str, Callable[[Turn], Iterator[bytes]]] = {A: anthropic_events, C: chat_chunks, R: response_events}


@dataclass(frozen=True)
class Told:
    """An answer as a client understands it; thinking with the proof that goes back with it."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    thinking: str = ""
    stop: str = ""
    usage: tuple[int, int, int] = (0, 0, 0)
    """All input, of it from the cache, and output."""
    cites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One thing that an answer may hold. `turn` says it; `reads` is what a client must have understood.

    `mends` are the changes that a provider's own body needs to say it, where `turn` cannot; `streams` says whether
    they can be made to its stream, too.
    """

    name: str
    turn: Turn
    reads: Callable[[Told], Any]
    value: Any
    mends: Mapping[str, Callable[[Json], None]]
    group: str = "text"
    streams: bool = True

    @property
    def ways(self) -> tuple[bool, ...]:
        """Whole, and streamed."""
        return (False, True) if self.streams else (False,)


def _stop(reasons: Mapping[str, str]) -> Mapping[str, Callable[[Json], None]]:
    def anthropic(body: Json) -> None:
        body["stop_reason"] = reasons[A]

    def chat(body: Json) -> None:
        body["choices"][0]["finish_reason"] = reasons[C]

    def responses(body: Json) -> None:
        body |= {"status": "incomplete", "incomplete_details": {"reason": reasons[R]}}

    return {A: anthropic, C: chat, R: responses}


def _cite_page(provider: str) -> Callable[[Json], None]:
    page: Json = {"url": PAGE, "title": "T"}

    def anthropic(body: Json) -> None:
        about = {"type": "web_search_result_location", "encrypted_index": "e", "cited_text": "Hello"}
        body["content"][0]["citations"] = [{**about, **page}]

    def chat(body: Json) -> None:
        where = {**page, "start_index": 0, "end_index": 5}
        body["choices"][0]["message"]["annotations"] = [{"type": "url_citation", "url_citation": where}]

    def responses(body: Json) -> None:
        where = {"type": "url_citation", **page, "start_index": 0, "end_index": 5}
        body["output"][0]["content"][0]["annotations"] = [where]

    return {A: anthropic, C: chat, R: responses}[provider]


def _cite_document(body: Json) -> None:
    body["content"][0]["citations"] = [
        {"type": "char_location", "cited_text": "Hello", "document_index": 0, "document_title": "d",
         "start_char_index": 0, "end_char_index": 5},
    ]  # fmt: skip


PAGE = "https://example.com/page"
PARTS = (
    Part("text", Turn("Hello there"), lambda t: t.text, "Hello there", {}),
    Part("that the answer was cut at its limit", Turn("Hello"), lambda t: t.stop, "limit",
         _stop({A: "max_tokens", C: "length", R: "max_output_tokens"})),
    Part("that the provider refused", Turn("No."), lambda t: t.stop, "refusal",
         _stop({A: "refusal", C: "content_filter", R: "content_filter"})),
    Part("tokens: input, from the cache, output", Turn("Hello"), lambda t: t.usage, (60, 20, 9), {}),
    Part("pages of the web that it cites", Turn("Hello"), lambda t: t.cites, (PAGE,),
         {d: _cite_page(d) for d in (A, C, R)}, streams=False),
    Part("words of a document that it cites", Turn("Hello"), lambda t: t.cites, ("Hello",), {A: _cite_document},
         streams=False),
    Part("two calls at once", Turn("I look.", CALLS), lambda t: t.calls,
         tuple((call.name, call.arguments) for call in CALLS), {}, "tools"),
    Part("that calls are wanted", Turn("", CALLS[:1]), lambda t: t.stop, "calls", {}, "tools"),
    Part("what the model thought", Turn("Hello", thinking="Which city?"), lambda t: t.thinking, "Which city?", {},
         "thinking"),
    Part("JSON of a schema", Turn('{"city": "Oslo"}'), lambda t: t.text, '{"city": "Oslo"}', {}, "structured output"),
)  # fmt: skip
"""All that is looked at."""


def whole(part: Part, provider: str) -> bytes:
    """The provider's answer in one piece."""
    body = WHOLE[provider](part.turn)
    if mend := part.mends.get(provider):
        mend(body)
    return orjson.dumps(body)


def streamed(part: Part, provider: str) -> list[bytes]:
    """The provider's answer, event by event."""
    pieces = list(STREAMED[provider](part.turn))
    mend = part.mends.get(provider)
    return [_mended(piece, provider, mend) if mend else piece for piece in pieces]


def _mended(piece: bytes, provider: str, mend: Callable[[Json], None]) -> bytes:
    """The event that ends an answer, saying why as the mended whole says it."""
    lines = []
    for line in piece.decode().splitlines():
        data = line.removeprefix("data: ")
        if line.startswith("data: {"):
            line = "data: " + json.dumps(_ending(json.loads(data), provider, mend))
        if line == "event: response.completed":
            line = "event: response.incomplete"
        lines.append(line)
    return ("\n".join(lines) + "\n\n").encode()


def _ending(event: Json, provider: str, mend: Callable[[Json], None]) -> Json:
    if provider == A and event["type"] == "message_delta":
        mend(event["delta"])
    elif provider == C and event["choices"] and event["choices"][0]["finish_reason"]:
        mend(event)
    elif provider == R and event["type"] == "response.completed":
        mend(event["response"])
        event["type"] = "response.incomplete"
    return event


# As clients read


def read(body: Json, client: str) -> Told:
    """A whole answer."""
    return {A: _anthropic, C: _chat, R: _responses}[client](body)


def read_stream(raw: bytes, client: str) -> Told:
    """A streamed answer, put together as an SDK does."""
    events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: {")]
    return {A: _anthropic_stream, C: _chat_stream, R: _responses_stream}[client](events)


_STOPS = {"max_tokens": "limit", "length": "limit", "max_output_tokens": "limit", "refusal": "refusal",
          "content_filter": "refusal", "tool_use": "calls", "tool_calls": "calls"}  # fmt: skip


def _anthropic(body: Json) -> Told:
    blocks = body["content"]
    usage = body["usage"]
    cached = usage.get("cache_read_input_tokens") or 0
    return Told(
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        tuple((block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"),
        "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        _STOPS.get(body["stop_reason"], ""),
        (usage["input_tokens"] + cached + (usage.get("cache_creation_input_tokens") or 0), cached,
         usage["output_tokens"]),
        tuple(cite.get("url") or cite["cited_text"] for block in blocks for cite in block.get("citations") or []),
    )  # fmt: skip


def _anthropic_stream(events: list[Json]) -> Told:
    body: Json = {}
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            body = event["message"]
        elif kind == "content_block_start":
            body["content"].append({**event["content_block"], "_json": ""})
        elif kind == "content_block_delta":
            _grow(body["content"][event["index"]], event["delta"])
        elif kind == "message_delta":
            body |= event["delta"]
            body["usage"] |= {key: value for key, value in event["usage"].items() if value is not None}
    for block in body["content"]:
        block |= {"input": json.loads(block["_json"])} if block["_json"] else {}
    return _anthropic(body)


def _grow(block: Json, delta: Json) -> None:
    for key, into in (("text", "text"), ("thinking", "thinking"), ("partial_json", "_json")):
        block[into] = block.get(into, "") + delta[key] if key in delta else block.get(into, "")


def _chat(body: Json) -> Told:
    choice = body["choices"][0]
    message, usage = choice["message"], body["usage"]
    return Told(
        message.get("content") or "",
        tuple(
            (call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or []
        ),
        message.get("reasoning_content") or "",
        _STOPS.get(choice["finish_reason"], ""),
        (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], usage["completion_tokens"]),
        tuple(note["url_citation"]["url"] for note in message.get("annotations") or []),
    )


def _chat_stream(events: list[Json]) -> Told:
    message: Json = {"content": "", "reasoning_content": "", "tool_calls": []}
    finish, usage = None, None
    for event in events:
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            finish = choice.get("finish_reason") or finish
            delta = choice["delta"]
            for key in ("content", "reasoning_content"):
                message[key] += delta.get(key) or ""
            for call in delta.get("tool_calls") or []:
                _call(message["tool_calls"], call)
    return _chat({"choices": [{"message": message, "finish_reason": finish}], "usage": usage})


def _call(calls: list[Json], delta: Json) -> None:
    while len(calls) <= delta["index"]:
        calls.append({"function": {"name": "", "arguments": ""}})
    for key in ("name", "arguments"):
        calls[delta["index"]]["function"][key] += delta["function"].get(key) or ""


def _responses(body: Json) -> Told:
    output, usage = body["output"], body["usage"]
    messages = [item for item in output if item["type"] == "message"]
    reason = (body.get("incomplete_details") or {}).get("reason") or ""
    called = any(item["type"] == "function_call" for item in output)
    refused = any(part["type"] == "refusal" for item in messages for part in item["content"])
    return Told(
        "".join(part.get("text", "") for item in messages for part in item["content"]),
        tuple((item["name"], json.loads(item["arguments"])) for item in output if item["type"] == "function_call"),
        "".join(part["text"] for item in output if item["type"] == "reasoning" for part in item["summary"]),
        "refusal" if refused else _STOPS.get(reason, "calls" if called else ""),
        (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]),
        tuple(note["url"] for item in messages for part in item["content"] for note in part.get("annotations", ())),
    )


def _responses_stream(events: list[Json]) -> Told:
    return _responses(events[-1]["response"])


def asking(part: Part, client: str, *, stream: bool) -> Json:
    """A call that wants all of it."""
    asks: Mapping[str, Json] = {
        A: {"max_tokens": 4000, "thinking": {"type": "adaptive", "display": "summarized"},
            "tools": [{"name": "weather", "input_schema": SCHEMA}]},
        C: {"reasoning_effort": "high", "stream_options": {"include_usage": True},
            "tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]},
        R: {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
            "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}]},
    }  # fmt: skip
    said = "input" if client == R else "messages"
    return {"model": "m", said: [{"role": "user", "content": "hi"}], "stream": stream, **asks[client]}


def returned(answer: Json, client: str) -> list[Json]:
    """The conversation that a client sends next: what it was told, and the results."""
    if client == A:
        results = [{"type": "tool_result", "tool_use_id": block["id"], "content": "Sun"}
                   for block in answer["content"] if block["type"] == "tool_use"]  # fmt: skip
        return [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]
    if client == C:
        message = answer["choices"][0]["message"]
        return [message, *({"role": "tool", "tool_call_id": call["id"], "content": "Sun"}
                           for call in message["tool_calls"])]  # fmt: skip
    return [*answer["output"], *({"type": "function_call_output", "call_id": item["call_id"], "output": "Sun"}
                                 for item in answer["output"] if item["type"] == "function_call")]  # fmt: skip


THOUGHTFUL = replace(
    PARTS[0],
    name="the proof of what was thought, in the next call",
    group="thinking",
    turn=Turn("I look.", CALLS, thinking="Which city?", signature="c2lnbmF0dXJlLW9mLXRoaXM="),
)
"""What reasoning models want back unchanged when results of calls are sent."""
