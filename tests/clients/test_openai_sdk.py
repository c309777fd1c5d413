"""The official OpenAI SDK as an oracle, over an Anthropic provider and over one of its own dialect."""

import base64
import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from pydantic import BaseModel

from tests.clients.front import MODEL, PROVIDER_TYPES, fronting, saying
from tests.clients.scripted import ToolCall, Turn, scripted
from tests.providers import Json, answers, anthropic_answer

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
ASK: Any = {"model": MODEL, "messages": HI}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 16).decode()
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
BOTH = Turn(
    "I look it up.",
    (ToolCall("weather", {"city": "Paris"}, "call_a"), ToolCall("weather", {"city": "Québec “1”\n"}, "call_b")),
)

each_provider = pytest.mark.parametrize("provider_type", PROVIDER_TYPES.values(), ids=PROVIDER_TYPES)


@each_provider
async def test_an_answer_is_a_completion_with_usage(provider_type: str) -> None:
    async with fronting(saying(Turn("Hello there")), provider_type) as front:
        completion = await front.openai.chat.completions.create(**ASK, temperature=0.5, max_completion_tokens=50)
        message = completion.choices[0].message
        assert (message.role, message.content, message.tool_calls) == ("assistant", "Hello there", None)
        assert completion.choices[0].finish_reason == "stop"
        assert completion.object == "chat.completion"
        assert completion.id.startswith("chatcmpl-")
        assert completion._request_id
        usage = completion.usage
        assert usage
        assert usage.prompt_tokens_details
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (60, 9, 69)
        assert usage.prompt_tokens_details.cached_tokens == 20
        assert front.provider.last.body["temperature"] == 0.5


@each_provider
async def test_chunks_carry_text_and_usage_only_on_demand(provider_type: str) -> None:
    async with fronting(saying(Turn("Hellö thère 👋")), provider_type) as front:
        plain = [chunk async for chunk in await front.openai.chat.completions.create(**ASK, stream=True)]
        assert "".join(c.choices[0].delta.content or "" for c in plain) == "Hellö thère 👋"
        assert plain[-1].choices[0].finish_reason == "stop"
        assert all(chunk.usage is None for chunk in plain)
        counted = await front.openai.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
        *_, last = [chunk async for chunk in counted]
        assert last.choices == []
        assert last.usage
        assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (60, 9)


@each_provider
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_parallel_calls_arrive_with_their_arguments(provider_type: str, streamed: bool) -> None:
    async with fronting(saying(BOTH), provider_type) as front:
        completion: Any
        if streamed:
            async with front.openai.chat.completions.stream(**ASK, tools=[WEATHER]) as stream:
                completion = await stream.get_final_completion()
        else:
            completion = await front.openai.chat.completions.create(**ASK, tools=[WEATHER])
        assert completion.choices[0].finish_reason == "tool_calls"
        message = completion.choices[0].message
        assert message.content == "I look it up."
        calls = [(c.id, c.type, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls]
        assert calls == [
            ("call_a", "function", "weather", {"city": "Paris"}),
            ("call_b", "function", "weather", {"city": "Québec “1”\n"}),
        ]


@each_provider
async def test_a_loop_of_calls_and_results_ends_in_an_answer(provider_type: str) -> None:
    async with fronting(scripted(BOTH, Turn("Sunny in both.")), provider_type) as front:
        messages: list[Any] = [*HI]
        asked = 0
        while True:
            async with front.openai.chat.completions.stream(
                model=MODEL, messages=messages, tools=[WEATHER], parallel_tool_calls=True
            ) as stream:
                message = (await stream.get_final_completion()).choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                break
            asked += 1
            messages += [{"role": "tool", "tool_call_id": c.id, "content": "sunny"} for c in message.tool_calls]
        assert (asked, message.content) == (1, "Sunny in both.")
        sent = front.provider.last.body["messages"]
        if provider_type == "anthropic":
            results = [block["tool_use_id"] for block in sent[2]["content"]]
            assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
        else:
            results = [turn["tool_call_id"] for turn in sent if turn["role"] == "tool"]
        assert results == ["call_a", "call_b"]


SIGNED = Turn("", (ToolCall("weather", {"city": "Paris"}),), thinking="I must look.", signature="U2lnbmVk")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_signed_thinking_of_an_anthropic_provider_comes_and_goes_back(streamed: bool) -> None:
    async with fronting(scripted(SIGNED, Turn("Sunny.", thinking="Done.")), "anthropic") as front:
        asked: Any = {"model": MODEL, "tools": [WEATHER], "reasoning_effort": "high"}
        completion: Any
        if streamed:
            async with front.openai.chat.completions.stream(**asked, messages=HI) as stream:
                completion = await stream.get_final_completion()
        else:
            completion = await front.openai.chat.completions.create(**asked, messages=HI)
        message = completion.choices[0].message
        assert message.reasoning_content == "I must look."
        turns = [*HI, message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": "call_1", "content": "x"}]
        last = await front.openai.chat.completions.create(**asked, messages=turns)
        assert last.choices[0].message.content == "Sunny."
        thought, use = front.provider.last.body["messages"][1]["content"]
        assert thought == {"type": "thinking", "thinking": "I must look.", "signature": "U2lnbmVk"}
        assert use["type"] == "tool_use"
        assert front.provider.last.body["thinking"] == {"type": "adaptive"}
        assert front.provider.last.body["output_config"] == {"effort": "high"}


@each_provider
async def test_images_reach_the_provider(provider_type: str) -> None:
    urls = [f"data:image/png;base64,{PNG}", "https://example.com/cat.png"]
    async with fronting(saying(Turn("A cat.")), provider_type) as front:
        content: Any = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        content.append({"type": "text", "text": "What is it?"})
        await front.openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
        sent = front.provider.last.body["messages"][0]["content"]
        if provider_type == "anthropic":
            sources = [block["source"] for block in sent if block["type"] == "image"]
            assert sources == [
                {"type": "base64", "media_type": "image/png", "data": PNG},
                {"type": "url", "url": urls[1]},
            ]
        else:
            assert sent == content


class Answer(BaseModel):
    """What a structured answer holds."""

    city: str
    degrees: int


@each_provider
async def test_a_structured_answer_is_parsed(provider_type: str) -> None:
    async with fronting(saying(Turn('{"city": "Paris", "degrees": 21}')), provider_type) as front:
        completion = await front.openai.chat.completions.parse(**ASK, response_format=Answer)
        assert completion.choices[0].message.parsed == Answer(city="Paris", degrees=21)
        async with front.openai.chat.completions.stream(**ASK, response_format=Answer) as stream:
            streamed = await stream.get_final_completion()
        assert streamed.choices[0].message.parsed == Answer(city="Paris", degrees=21)
        body = front.provider.last.body
        if provider_type == "anthropic":
            assert body["output_config"]["format"]["type"] == "json_schema"
            assert set(body["output_config"]["format"]["schema"]["properties"]) == {"city", "degrees"}
        else:
            assert body["response_format"]["json_schema"]["name"] == "Answer"


async def test_a_call_is_parsed_by_its_model() -> None:
    tool = openai.pydantic_function_tool(Answer, name="weather")
    async with fronting(saying(Turn(calls=(ToolCall("weather", {"city": "A", "degrees": 3}),))), "anthropic") as front:
        completion = await front.openai.chat.completions.parse(**ASK, tools=[tool])
        calls = completion.choices[0].message.tool_calls
        assert calls
        assert calls[0].function.parsed_arguments == Answer(city="A", degrees=3)


def stopped(reason: str, text: str = "One", **more: Any) -> Json:
    """An Anthropic answer that stopped so."""
    return anthropic_answer(text, stop_reason=reason, **more)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("refusal", "content_filter"),
     ("model_context_window_exceeded", "length"), ("pause_turn", "stop")],
)  # fmt: skip
async def test_the_reason_to_stop_is_told_in_its_words(reason: str, finish: str) -> None:
    async with fronting(answers(stopped(reason)), "anthropic") as front:
        completion = await front.openai.chat.completions.create(**ASK, stop=["three"])
        assert completion.choices[0].finish_reason == finish
        assert front.provider.last.body["stop_sequences"] == ["three"]


async def test_a_refusal_is_told_and_makes_the_parse_helper_raise() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "I will not."}
    async with fronting(answers(stopped("refusal", "", stop_details=details, content=[])), "anthropic") as front:
        completion = await front.openai.chat.completions.create(**ASK)
        assert completion.choices[0].message.refusal == "I will not."
        with pytest.raises(openai.ContentFilterFinishReasonError):
            await front.openai.chat.completions.parse(**ASK, response_format=Answer)


async def test_models_are_listed_and_found() -> None:
    async with fronting(saying(Turn("unused"))) as front:
        listed = [model async for model in await front.openai.models.list()]
        assert [(model.id, model.object) for model in listed] == [(MODEL, "model")]
        assert (await front.openai.models.retrieve(MODEL)).owned_by
        with pytest.raises(openai.NotFoundError):
            await front.openai.models.retrieve("another")
