"""Responses streams for tests: canonical answers, what clients are sent of them, and what the SDK makes of that."""

from typing import Any

import orjson
from hypothesis import strategies as st
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from portbroker.conversation import AnswerContext, Event, Json, Report, answer_events
from portbroker.dialects.openai_responses.encode_answer import StreamEncoder
from portbroker.sse import SSEParser

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAMES = st.sampled_from(["run", "patch", "mcp__search"])
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.builds(lambda t, s: {"type": "thinking", "thinking": t, "signature": s}, st.text(max_size=9), TEXT),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, TEXT),
    st.builds(
        lambda name, text: {"type": "tool_use", "id": f"call_{name}", "name": name, "input": {"input": text}},
        NAMES,
        TEXT,
    ),
    st.just({"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}),
)
ANSWERS = st.builds(
    lambda blocks, stop, output: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{**b, "id": f"call_{i}"} if "id" in b else b for i, b in enumerate(blocks)],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": output},
    },
    st.lists(BLOCKS, max_size=6),
    st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal", "stop_sequence", None]),
    st.integers(0, 99),
)
CONTEXTS = st.builds(
    AnswerContext,
    request_model=st.just("asked"),
    encrypted=st.booleans(),
    thinking_requested=st.booleans(),
    thinking_hidden=st.booleans(),
    created=st.just(7),
    tool_map=st.just(
        {
            "patch": {"name": "patch", "kind": "custom"},
            "mcp__search": {"namespace": "mcp", "name": "search", "kind": "function"},
        }
    ),
)


def sent(events: list[Event], context: AnswerContext | None = None) -> tuple[list[Json], list[str]]:
    """The events that a client is sent of these, and what was reported. Each is named like its type."""
    report = Report()
    encoder = StreamEncoder(context or AnswerContext(), report)
    parsed = parse(b"".join(map(encoder.feed, events)))
    return parsed, list(map(str, report))


def parse(data: bytes) -> list[Json]:
    parser = SSEParser()
    found = []
    for name, payload in [*parser.feed(data), *parser.finish()]:
        found.append(orjson.loads(payload))
        assert found[-1]["type"] == name
    return found


def told(answer: Json, context: AnswerContext | None = None) -> list[Json]:
    return sent(list(answer_events(answer)), context)[0]


def accumulate(events: list[Json]) -> Any:
    """The response that the official SDK puts together; every event passes its types."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    last: Any = None
    for event in events:
        parsed = EVENT.validate_python(event)
        for fired in state.handle_event(parsed):
            last = fired
    return last.response


def block(index: int, start: Json, *deltas: Json) -> list[Event]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def stream(*events: Event, stop: str | None = "end_turn") -> list[Event]:
    start = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}}
    end = {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 2}}
    return [start, *events, end, {"type": "message_stop"}]
