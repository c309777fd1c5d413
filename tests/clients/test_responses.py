"""The official OpenAI SDK's Responses helpers as an oracle, over providers of all three dialects, on sockets."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.clients.front import MODEL, Front, fronting
from tests.clients.scripted import ToolCall, Turn
from tests.clients.scripted_responses import speaking
from tests.providers import Json, answers, chat_chunk, sse, streams

ASK: Any = {"model": MODEL, "input": "hi"}
PROVIDERS: dict[str, Json] = {
    "chat": {"provider_type": "custom"},
    "anthropic": {"provider_type": "anthropic"},
    "responses": {"dialect": "openai.responses"},
}
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Weather of a city",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
BOTH = Turn(
    "I look it up.",
    (ToolCall("weather", {"city": "Paris"}, "call_a"), ToolCall("weather", {"city": "Québec “1”\n"}, "call_b")),
    thinking="Which cities?",
)
THINKING: Any = {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}

each_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
translated = pytest.mark.parametrize("provider", [PROVIDERS["chat"], PROVIDERS["anthropic"]], ids=["chat", "anthropic"])


@each_provider
async def test_an_answer_is_a_response_with_usage(provider: Json) -> None:
    async with fronting(speaking(Turn("Hello there")), **provider) as front:
        response = await front.openai.responses.create(**ASK, instructions="Be brief", max_output_tokens=50)
        assert (response.output_text, response.status, response.object) == ("Hello there", "completed", "response")
        assert response.id.startswith("resp_")
        assert response._request_id
        usage = response.usage
        assert usage
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (60, 9, 69)
        assert usage.input_tokens_details.cached_tokens == 20
        assert "Be brief" in json.dumps(front.provider.last.body)


@each_provider
async def test_a_stream_tells_the_same_text_and_ends_with_the_whole(provider: Json) -> None:
    async with fronting(speaking(Turn("Hello there")), **provider) as front:
        async with front.openai.responses.stream(**ASK) as stream:
            deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
        assert "".join(deltas) == final.output_text == "Hello there"
        assert final.usage
        assert final.usage.total_tokens == 69


@each_provider
async def test_raw_events_are_numbered_without_gaps(provider: Json) -> None:
    async with fronting(speaking(BOTH), **provider) as front:
        stream = await front.openai.responses.create(**ASK, tools=[WEATHER], stream=True)
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


async def _loop(front: Front, *, stream: bool) -> tuple[list[Any], str]:
    """An agent's loop: calls answered until there are none. All items, and the last text."""
    items: list[Any] = [{"role": "user", "content": "Weather?"}]
    asked: Any = {"model": MODEL, "tools": [WEATHER], **THINKING}
    for _ in range(3):
        if stream:
            async with front.openai.responses.stream(**asked, input=items) as streamed:
                response: Any = await streamed.get_final_response()
        else:
            response = await front.openai.responses.create(**asked, input=items)
        items += [item.to_dict() for item in response.output]
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return items, response.output_text
        for call in calls:
            city = json.loads(call.arguments)["city"]
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": f"Sun in {city}"})
    raise AssertionError("the loop does not end")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@each_provider
async def test_a_tool_loop_ends_with_an_answer(provider: Json, stream: bool) -> None:
    async with fronting(speaking(BOTH, Turn("Sun in both.")), **provider) as front:
        items, text = await _loop(front, stream=stream)
        assert text == "Sun in both."
        kinds = [item["type"] for item in items[1:]]
        assert kinds == [
            "reasoning", "message", "function_call", "function_call", "function_call_output", "function_call_output",
            "message",
        ]  # fmt: skip
        sent = json.dumps(front.provider.last.body, ensure_ascii=False)
        assert "Sun in Paris" in sent
        assert "Sun in Québec “1”" in sent


async def test_thinking_that_anthropic_signed_goes_back_as_it_came() -> None:
    async with fronting(speaking(BOTH, Turn("Sun.")), "anthropic") as front:
        await _loop(front, stream=True)
        (assistant,) = [m for m in front.provider.last.body["messages"] if m["role"] == "assistant"]
        assert assistant["content"][0] == {
            "type": "thinking", "thinking": BOTH.thinking, "signature": BOTH.signature,
        }  # fmt: skip


class City(BaseModel):
    """What is parsed out of an answer."""

    name: str
    people: int


@each_provider
async def test_structured_output_is_parsed(provider: Json) -> None:
    async with fronting(speaking(Turn('{"name": "Paris", "people": 2}')), **provider) as front:
        parsed = await front.openai.responses.parse(**ASK, text_format=City)
        assert parsed.output_parsed == City(name="Paris", people=2)
        async with front.openai.responses.stream(**ASK, text_format=City) as stream:
            assert (await stream.get_final_response()).output_parsed == City(name="Paris", people=2)


@translated
async def test_namespaces_and_free_text_come_back_as_they_were_declared(provider: Json) -> None:
    tools: Any = [
        {"type": "namespace", "name": "mcp__fs", "description": "Files", "tools": [{**WEATHER, "name": "read"}]},
        {"type": "custom", "name": "apply_patch", "description": "Patch"},
        {"type": "web_search"},
    ]
    turn = Turn(
        "", (ToolCall("mcp__fs__read", {"city": "x"}, "c1"), ToolCall("apply_patch", {"input": "*** Begin"}, "c2"))
    )
    async with fronting(speaking(turn), **provider) as front:
        asked = await front.openai.responses.with_raw_response.create(**ASK, tools=tools)
        assert asked.headers["x-portbroker-adaptations"] == "dropped:tools[2]"
        response: Any = asked.parse()
        read, patch = response.output
        assert (read.type, read.namespace, read.name) == ("function_call", "mcp__fs", "read")
        assert (patch.type, patch.name, patch.input) == ("custom_tool_call", "apply_patch", "*** Begin")
        assert [tool.type for tool in response.tools] == ["namespace", "custom", "web_search"]


@translated
async def test_a_stored_conversation_is_unknown(provider: Json) -> None:
    async with fronting(speaking(Turn("x")), **provider) as front:
        with pytest.raises(openai.BadRequestError) as caught:
            await front.openai.responses.create(**ASK, previous_response_id="resp_1")
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
        assert not front.provider.seen


@pytest.mark.parametrize(
    ("provider", "status", "kind", "error"),
    [
        (PROVIDERS["chat"], 429, openai.RateLimitError, {"message": "slow", "code": "rate_limit_exceeded"}),
        (PROVIDERS["anthropic"], 529, openai.InternalServerError, {"message": "busy", "type": "overloaded_error"}),
        (PROVIDERS["responses"], 400, openai.BadRequestError, {"message": "no", "code": "context_length_exceeded"}),
    ],
)
async def test_a_providers_refusal_is_the_sdks_own_error(provider: Json, status: int, kind: Any, error: Json) -> None:
    async with fronting(answers({"error": error}, status), **provider) as front:
        with pytest.raises(kind):
            await front.openai.responses.create(**ASK)


async def test_a_stream_that_breaks_is_a_response_that_failed() -> None:
    behave = streams(sse(chat_chunk({"content": "Half"})), then="cut")
    async with fronting(behave) as front:
        stream = await front.openai.responses.create(**ASK, stream=True)
        events = [event async for event in stream]
        last: Any = events[-1]
        assert (last.type, last.response.status, last.response.error.code) == (
            "response.failed",
            "failed",
            "server_error",
        )
        assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_clients_of_the_other_dialects_reach_a_responses_provider(stream: bool) -> None:
    async with fronting(speaking(BOTH, Turn("Sun.")), dialect="openai.responses") as front:
        tool: Any = {"name": "weather", "input_schema": WEATHER["parameters"]}
        messages: list[Any] = [{"role": "user", "content": "Weather?"}]
        asked: Any = {"model": MODEL, "max_tokens": 2048, "tools": [tool], "thinking": {"type": "adaptive"}}
        async with front.anthropic.messages.stream(**asked, messages=messages) as streamed:
            answer = await streamed.get_final_message()
        if not stream:
            answer = await front.anthropic.messages.create(**asked, messages=messages)
        assert [block.type for block in answer.content] == ["thinking", "text", "tool_use", "tool_use"]
        assert answer.stop_reason == "tool_use"
        results = [{"type": "tool_result", "tool_use_id": b.id, "content": "Sun"} for b in answer.content[2:]]  # type: ignore[union-attr]
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
        async with front.anthropic.messages.stream(**asked, messages=messages) as streamed:
            assert await streamed.get_final_text() == "Sun."
        sent = front.provider.last.body
        assert front.provider.last.path == "/v1/responses"
        assert [item["type"] for item in sent["input"]] == [
            "message", "reasoning", "message", "function_call", "function_call", "function_call_output",
            "function_call_output",
        ]  # fmt: skip
        assert sent["input"][1]["encrypted_content"] == BOTH.signature
        assert sent["reasoning"] == {"summary": "auto"}


async def test_a_chat_client_reaches_a_responses_provider() -> None:
    async with fronting(speaking(Turn("Hello there")), dialect="openai.responses") as front:
        messages: Any = [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]
        completion = await front.openai.chat.completions.create(model=MODEL, messages=messages)
        assert completion.choices[0].message.content == "Hello there"
        assert completion.usage
        assert completion.usage.total_tokens == 69
        assert front.provider.last.body["instructions"] == "S"


@each_provider
async def test_a_body_of_responses_on_the_path_of_chat_is_answered_as_chat(provider: Json) -> None:
    body = {**ASK, "instructions": "Be brief", "tools": [WEATHER]}
    async with fronting(speaking(BOTH), **provider) as front:
        completion = await front.openai.post("/chat/completions", body=body, cast_to=ChatCompletion)
        calls = completion.choices[0].message.tool_calls
        assert calls
        assert [call.id for call in calls] == ["call_a", "call_b"]
        assert "Be brief" in json.dumps(front.provider.last.body)
