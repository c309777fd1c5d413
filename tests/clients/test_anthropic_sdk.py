"""The official Anthropic SDK as an oracle, over a chat provider and over one of its own dialect."""

import base64
from typing import Any

import pytest
from anthropic.types import MessageParam, ThinkingBlock, ToolParam, ToolUseBlock
from pydantic import BaseModel

from tests.clients.front import MODEL, PROVIDER_TYPES, fronting, saying
from tests.clients.scripted import ToolCall, Turn, scripted
from tests.providers import Json, answers, chat_answer, chat_chunk, sse, streams

HI: list[MessageParam] = [{"role": "user", "content": "hi"}]
ASK: Any = {"model": MODEL, "max_tokens": 100, "messages": HI}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 16).decode()
WEATHER: ToolParam = {
    "name": "weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
BOTH = Turn(
    "I look it up.",
    (ToolCall("weather", {"city": "Paris"}, "call_a"), ToolCall("weather", {"city": "Québec “1”\n"}, "call_b")),
)

each_provider = pytest.mark.parametrize("provider_type", PROVIDER_TYPES.values(), ids=PROVIDER_TYPES)


@each_provider
async def test_an_answer_is_a_message_with_usage(provider_type: str) -> None:
    async with fronting(saying(Turn("Hello there")), provider_type) as front:
        message = await front.anthropic.messages.create(**ASK, system="Be brief.", extra_body={"temperature": 0.5})
        assert [block.to_dict() for block in message.content] == [{"type": "text", "text": "Hello there"}]
        assert (message.role, message.type, message.stop_reason) == ("assistant", "message", "end_turn")
        assert message.id.startswith("msg_")
        assert message._request_id
        assert message._request_id.startswith("req_")
        usage = message.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (40, 20, 9)
        assert front.provider.last.body["temperature"] == 0.5


@each_provider
async def test_the_stream_helper_accumulates_the_same_message(provider_type: str) -> None:
    async with fronting(saying(Turn("Hellö thère 👋")), provider_type) as front:
        async with front.anthropic.messages.stream(**ASK) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            message = await stream.get_final_message()
        assert text == "Hellö thère 👋"
        assert [block.to_dict() for block in message.content] == [{"type": "text", "text": text}]
        assert message.stop_reason == "end_turn"
        usage = message.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (40, 20, 9)


@each_provider
async def test_a_raw_stream_is_the_event_sequence_of_the_api(provider_type: str) -> None:
    async with fronting(saying(Turn("Hi", (ToolCall("weather", {}),))), provider_type) as front:
        stream = await front.anthropic.messages.create(**ASK, tools=[WEATHER], stream=True)
        kinds = [event.type async for event in stream]
        assert kinds == [
            "message_start", "content_block_start", "content_block_delta", "content_block_stop",
            "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
        ]  # fmt: skip


@each_provider
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_parallel_calls_arrive_with_their_arguments(provider_type: str, streamed: bool) -> None:
    async with fronting(saying(BOTH), provider_type) as front:
        if streamed:
            async with front.anthropic.messages.stream(**ASK, tools=[WEATHER]) as stream:
                message: Any = await stream.get_final_message()
        else:
            message = await front.anthropic.messages.create(**ASK, tools=[WEATHER])
        assert message.stop_reason == "tool_use"
        text, *uses = message.content
        assert text.text == "I look it up."
        assert [(use.id, use.name, use.input) for use in uses] == [
            ("call_a", "weather", {"city": "Paris"}),
            ("call_b", "weather", {"city": "Québec “1”\n"}),
        ]


async def test_interleaved_calls_of_a_chat_provider_are_told_one_after_the_other() -> None:
    def delta(index: int, arguments: str, **more: Any) -> Json:
        return chat_chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments, **more}}]})

    first, second = delta(0, "", name="weather"), delta(1, "", name="weather")
    pieces = sse(first, second, delta(0, '{"city":'), delta(1, '{"city":"B"'), delta(0, '"A"}'), delta(1, "}"),
                 chat_chunk({}, "tool_calls"), "[DONE]")  # fmt: skip
    async with fronting(streams(pieces)) as front:
        async with front.anthropic.messages.stream(**ASK, tools=[WEATHER]) as stream:
            message = await stream.get_final_message()
        uses = [block for block in message.content if isinstance(block, ToolUseBlock)]
        assert [use.input for use in uses] == [{"city": "A"}, {"city": "B"}]
        assert len({use.id for use in uses}) == 2


THINKING = Turn("It is 4.", thinking="2 and 2\nmake 4.", signature="RXJyb3I=")
CALLING = Turn("", (ToolCall("weather", {"city": "Paris"}),), thinking="I must look.", signature="U2lnbmVk")


@pytest.mark.parametrize("provider_type", ["deepseek", "anthropic"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "thinking", [{"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}], ids=["enabled", "adaptive"]
)
async def test_thinking_comes_and_goes_back(provider_type: str, streamed: bool, thinking: Any) -> None:
    async with fronting(scripted(CALLING, THINKING), provider_type) as front:
        asked: Any = {"model": MODEL, "max_tokens": 4000, "thinking": thinking, "tools": [WEATHER]}

        async def ask(messages: list[MessageParam]) -> Any:
            if not streamed:
                return await front.anthropic.messages.create(**asked, messages=messages)
            async with front.anthropic.messages.stream(**asked, messages=messages) as stream:
                return await stream.get_final_message()

        first = await ask(HI)
        thought, use = first.content
        assert isinstance(thought, ThinkingBlock)
        assert thought.thinking == "I must look."
        assert thought.signature
        result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
        last = await ask([*HI, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}])
        assert [block.type for block in last.content] == ["thinking", "text"]
        assert last.content[0].thinking == "2 and 2\nmake 4."
        returned = front.provider.last.body["messages"][1]
        if provider_type == "anthropic":
            assert returned["content"][0] == {"type": "thinking", "thinking": "I must look.", "signature": "U2lnbmVk"}
        else:
            assert returned["reasoning_content"] == "I must look."


async def test_version_and_betas_reach_only_a_provider_that_knows_them() -> None:
    for provider_type in PROVIDER_TYPES.values():
        async with fronting(saying(Turn("Hello")), provider_type) as front:
            await front.anthropic.beta.messages.create(**ASK, betas=["context-management-2025-06-27"])
            sent = {n: v for n, v in front.provider.last.headers.items() if n.startswith(("anthropic-", "x-stainless"))}
            if provider_type == "anthropic":
                version = front.anthropic.default_headers["anthropic-version"]
                assert sent == {"anthropic-version": version, "anthropic-beta": "context-management-2025-06-27"}
            else:
                assert sent == {}


async def test_thinking_that_was_not_asked_for_is_not_shown() -> None:
    async with fronting(saying(THINKING)) as front:
        message = await front.anthropic.messages.create(**ASK)
        assert [block.type for block in message.content] == ["text"]


async def test_thinking_of_a_chat_provider_never_reaches_an_anthropic_one() -> None:
    async with fronting(saying(THINKING), "deepseek") as front:
        message = await front.anthropic.messages.create(**ASK, thinking={"type": "adaptive"})
    follow: list[MessageParam] = [*HI, {"role": "assistant", "content": message.content}, *HI]
    async with fronting(saying(THINKING), "anthropic") as front:
        await front.anthropic.messages.create(model=MODEL, max_tokens=100, messages=follow)
        assert front.provider.last.body["messages"][1]["content"] == [{"type": "text", "text": "It is 4."}]


@each_provider
async def test_images_reach_the_provider(provider_type: str) -> None:
    inline: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    linked: Any = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}
    async with fronting(saying(Turn("A cat.")), provider_type) as front:
        content: Any = [inline, linked, {"type": "text", "text": "What is it?"}]
        message = await front.anthropic.messages.create(
            model=MODEL, max_tokens=100, messages=[{"role": "user", "content": content}]
        )
        assert message.content[0].type == "text"
        sent = front.provider.last.body["messages"][0]["content"]
        if provider_type == "anthropic":
            assert sent == content
        else:
            urls = [part["image_url"]["url"] for part in sent if part["type"] == "image_url"]
            assert urls == [f"data:image/png;base64,{PNG}", "https://example.com/cat.png"]


class Answer(BaseModel):
    """What a structured answer holds."""

    city: str
    degrees: int


@each_provider
async def test_a_structured_answer_is_parsed(provider_type: str) -> None:
    async with fronting(saying(Turn('{"city": "Paris", "degrees": 21}')), provider_type) as front:
        message = await front.anthropic.messages.parse(**ASK, output_format=Answer)
        assert message.parsed_output == Answer(city="Paris", degrees=21)
        body = front.provider.last.body
        if provider_type == "anthropic":
            schema = body["output_config"]["format"]["schema"]
        else:
            assert body["response_format"]["type"] == "json_schema"
            schema = body["response_format"]["json_schema"]["schema"]
        assert set(schema["properties"]) == {"city", "degrees"}


async def test_a_stop_sequence_that_matched_is_named() -> None:
    answer = chat_answer("One, two")
    answer["choices"][0]["stop_reason"] = "three"  # as vLLM tells it
    async with fronting(answers(answer)) as front:
        message = await front.anthropic.messages.create(**ASK, stop_sequences=["three", "four"])
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "three")
        assert front.provider.last.body["stop"] == ["three", "four"]


async def test_the_end_of_the_tokens_is_told() -> None:
    async with fronting(streams(sse(chat_chunk({"content": "One"}), chat_chunk({}, "length"), "[DONE]"))) as front:
        async with front.anthropic.messages.stream(**ASK) as stream:
            assert (await stream.get_final_message()).stop_reason == "max_tokens"


async def test_a_refusal_is_told_with_its_reason() -> None:
    async with fronting(answers(chat_answer("", refusal="I will not."))) as front:
        message = await front.anthropic.messages.create(**ASK)
        assert message.stop_reason == "refusal"
        assert message.stop_details
        assert message.stop_details.explanation == "I will not."


@each_provider
async def test_tokens_are_counted(provider_type: str) -> None:
    async with fronting(saying(Turn("unused")), provider_type) as front:
        short = await front.anthropic.messages.count_tokens(model=MODEL, messages=HI)
        long = await front.anthropic.messages.count_tokens(
            model=MODEL, messages=HI, tools=[WEATHER], system="Hi " * 500
        )
        assert 0 < short.input_tokens < 50
        assert long.input_tokens > short.input_tokens + 300


async def test_models_are_listed_and_found() -> None:
    async with fronting(saying(Turn("unused"))) as front:
        listed = [model.id async for model in await front.anthropic.models.list()]
        assert listed == [MODEL, f"claude-via-{MODEL}"]
        model = await front.anthropic.models.retrieve(MODEL)
        assert (model.type, model.id, model.display_name) == ("model", MODEL, MODEL)
        assert model.created_at.year >= 1970
