"""Errors as the official SDKs raise them: the class, the words and the headers that their users act on."""

from typing import Any

import anthropic
import openai
import pytest

from tests.clients.front import MODEL, Front, fronting
from tests.providers import (
    Behaviour,
    Json,
    answers,
    anthropic_answer,
    anthropic_stream,
    chat_answer,
    chat_chunk,
    chat_stream,
    in_turn,
    sse,
    streams,
)

ASK: Any = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def chat_error(message: str = "no", code: str | None = None) -> Json:
    """An error as OpenAI words it."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def anthropic_error(kind: str, message: str = "no") -> Json:
    """An error as Anthropic words it."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream"}


FROM_CHAT = [
    (400, chat_error(), anthropic.BadRequestError, 400, "invalid_request_error"),
    (401, chat_error(), anthropic.InternalServerError, 502, "api_error"),
    (403, chat_error(), anthropic.PermissionDeniedError, 403, "permission_error"),
    (404, chat_error(code="model_not_found"), anthropic.NotFoundError, 404, "not_found_error"),
    (413, chat_error(), anthropic.ContentTooLargeError, 413, "request_too_large"),
    (422, chat_error(), anthropic.BadRequestError, 400, "invalid_request_error"),
    (429, chat_error(), anthropic.RateLimitError, 429, "rate_limit_error"),
    (429, chat_error(code="insufficient_quota"), anthropic.PaymentRequiredError, 402, "billing_error"),
    (500, chat_error(), anthropic.InternalServerError, 500, "api_error"),
    (502, b"<html><title>Bad gateway</title></html>", anthropic.InternalServerError, 502, "api_error"),
    (503, chat_error(), anthropic.OverloadedError, 529, "overloaded_error"),
    (504, chat_error(), anthropic.GatewayTimeoutError, 504, "timeout_error"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("status", "body", "raised", "seen", "kind"), FROM_CHAT)
async def test_an_error_of_a_chat_provider_raises_the_anthropic_class(
    status: int, body: Any, raised: type[anthropic.APIStatusError], seen: int, kind: str, stream: bool
) -> None:
    async with fronting(answers(body, status)) as front:
        with pytest.raises(raised) as caught:
            await front.anthropic.messages.create(**ASK, stream=stream)
        assert (caught.value.status_code, caught.value.type) == (seen, kind)
        assert caught.value.request_id
        assert caught.value.api_message
        assert "sk-secret" not in str(caught.value)


FROM_ANTHROPIC = [
    (400, "invalid_request_error", openai.BadRequestError, 400, None),
    (401, "authentication_error", openai.InternalServerError, 502, "provider_credential_refused"),
    (402, "billing_error", openai.RateLimitError, 429, "insufficient_quota"),
    (403, "permission_error", openai.PermissionDeniedError, 403, "permission_denied"),
    (404, "not_found_error", openai.NotFoundError, 404, "model_not_found"),
    (413, "request_too_large", openai.APIStatusError, 413, "request_too_large"),
    (429, "rate_limit_error", openai.RateLimitError, 429, "rate_limit_exceeded"),
    (500, "api_error", openai.InternalServerError, 500, None),
    (504, "timeout_error", openai.InternalServerError, 504, None),
    (529, "overloaded_error", openai.InternalServerError, 503, "server_is_overloaded"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("status", "kind", "raised", "seen", "code"), FROM_ANTHROPIC)
async def test_an_error_of_an_anthropic_provider_raises_the_openai_class(
    status: int, kind: str, raised: type[openai.APIStatusError], seen: int, code: str | None, stream: bool
) -> None:
    words = "model: claude-x" if kind == "not_found_error" else "no"
    async with fronting(answers(anthropic_error(kind, words), status), "anthropic") as front:
        with pytest.raises(raised) as caught:
            await front.openai.chat.completions.create(**ASK, stream=stream)
        assert caught.value.status_code == seen
        assert caught.value.request_id
        if code:
            assert caught.value.code == code


@pytest.mark.parametrize("model", ["nothing-like-it", "Upstrem/x"])
async def test_an_unknown_model_is_not_found_in_both_sdks(model: str) -> None:
    async with fronting(answers(chat_answer())) as front:
        with pytest.raises(anthropic.NotFoundError, match="model"):
            await front.anthropic.messages.create(**{**ASK, "model": model})
        with pytest.raises(openai.NotFoundError) as caught:
            await front.openai.chat.completions.create(**{**ASK, "model": model})
        assert caught.value.code == "model_not_found"
        assert front.provider.seen == []


TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


async def test_a_context_overflow_has_the_words_that_anthropic_clients_look_for() -> None:
    async with fronting(answers(chat_error(TOO_LONG, "context_length_exceeded"), 400)) as front:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await front.anthropic.messages.create(**ASK)
        assert caught.value.api_message == "prompt is too long: 9000 tokens > 8192 maximum"


async def test_a_context_overflow_has_the_code_that_openai_clients_look_for() -> None:
    words = "prompt is too long: 210000 tokens > 200000 maximum"
    async with fronting(answers(anthropic_error("invalid_request_error", words), 400), "anthropic") as front:
        with pytest.raises(openai.BadRequestError) as caught:
            await front.openai.chat.completions.create(**ASK)
        assert caught.value.code == "context_length_exceeded"
        assert caught.value.param == "messages"


async def test_when_to_try_again_reaches_both_sdks() -> None:
    limited = {"retry-after": "1", "x-ratelimit-remaining-requests": "0"}
    async with fronting(answers(chat_error(), 429, limited)) as front:
        with pytest.raises(anthropic.RateLimitError) as caught:
            await front.anthropic.messages.create(**ASK)
        assert caught.value.response.headers["retry-after"] == "1"
        assert caught.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"
    async with fronting(answers(anthropic_error("rate_limit_error"), 429, {"retry-after": "1"}), "anthropic") as front:
        with pytest.raises(openai.RateLimitError) as refused:
            await front.openai.chat.completions.create(**ASK)
        assert refused.value.response.headers["retry-after"] == "1"


SOON = {"retry-after-ms": "1"}


async def test_an_anthropic_sdk_tries_again_as_our_headers_say() -> None:
    behave = in_turn(answers(chat_error(), 429, SOON), answers(chat_error(), 503, SOON), answers(chat_answer("Third")))
    async with fronting(behave, retries=2) as front:
        message = await front.anthropic.messages.create(**ASK)
        assert message.content[0].to_dict() == {"type": "text", "text": "Third"}
        assert len(front.provider.seen) == 3


async def test_an_openai_sdk_tries_again_as_our_headers_say() -> None:
    limited = answers(anthropic_error("rate_limit_error"), 429, SOON)
    overloaded = answers(anthropic_error("overloaded_error"), 529, SOON)
    async with fronting(
        in_turn(limited, overloaded, answers(anthropic_answer("Third"))), "anthropic", retries=2
    ) as front:
        completion = await front.openai.chat.completions.create(**ASK)
        assert completion.choices[0].message.content == "Third"
        assert len(front.provider.seen) == 3


async def test_neither_sdk_tries_again_when_money_is_missing() -> None:
    async with fronting(answers(chat_error(code="insufficient_quota"), 429, SOON), retries=2) as front:
        with pytest.raises(anthropic.PaymentRequiredError):
            await front.anthropic.messages.create(**ASK)
        assert len(front.provider.seen) == 1
    async with fronting(answers(anthropic_error("billing_error"), 402, SOON), "anthropic", retries=2) as front:
        with pytest.raises(openai.RateLimitError):
            await front.openai.chat.completions.create(**ASK)
        assert len(front.provider.seen) == 1


BROKEN_CHAT: dict[str, Behaviour] = {
    "error event": streams(sse(chat_chunk({"content": "Hel"}), {"error": {"message": "overloaded", "code": 503}})),
    "finish error": streams(sse(chat_chunk({"content": "Hel"}), chat_chunk({}, "error"))),
    "cut": streams(sse(chat_chunk({"content": "Hel"})), then="cut"),
    "ended": streams(sse(chat_chunk({"content": "Hel"}))),
}


@pytest.mark.parametrize("name", BROKEN_CHAT)
async def test_a_chat_stream_that_breaks_raises_in_the_anthropic_sdk(name: str) -> None:
    text: list[str] = []

    async def read(client: anthropic.AsyncAnthropic) -> None:
        async with client.messages.stream(**ASK) as stream:
            async for piece in stream.text_stream:
                text.append(piece)

    async with fronting(BROKEN_CHAT[name]) as front:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await read(front.anthropic)
        assert text == ["Hel"]
        assert caught.value.type == ("overloaded_error" if name == "error event" else "api_error")


BEGUN = anthropic_stream("Hel").partition(b"event: content_block_stop")[0]
OVERLOADED = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
BROKEN_ANTHROPIC: dict[str, Behaviour] = {
    "error event": streams(BEGUN, OVERLOADED),
    "cut": streams(BEGUN, then="cut"),
    "ended": streams(BEGUN),
}


@pytest.mark.parametrize("name", BROKEN_ANTHROPIC)
async def test_an_anthropic_stream_that_breaks_raises_in_the_openai_sdk(name: str) -> None:
    text: list[str] = []

    async def read(client: openai.AsyncOpenAI) -> None:
        async for chunk in await client.chat.completions.create(**ASK, stream=True):
            text.append(chunk.choices[0].delta.content or "")

    async with fronting(BROKEN_ANTHROPIC[name], "anthropic") as front:
        with pytest.raises(openai.APIError) as caught:
            await read(front.openai)
        assert "".join(text) == "Hel"
        assert caught.value.code == ("server_is_overloaded" if name == "error event" else None)


@pytest.mark.parametrize("name", BROKEN_ANTHROPIC)
async def test_a_passed_anthropic_stream_that_breaks_raises_in_the_anthropic_sdk(name: str) -> None:
    async with fronting(BROKEN_ANTHROPIC[name], "anthropic") as front:
        with pytest.raises(anthropic.APIStatusError):
            async with front.anthropic.messages.stream(**ASK) as stream:
                await stream.get_final_message()


@pytest.mark.parametrize("name", ["error event", "cut", "ended"])
async def test_a_passed_chat_stream_that_breaks_raises_in_the_openai_sdk(name: str) -> None:
    async with fronting(BROKEN_CHAT[name]) as front:
        stream = await front.openai.chat.completions.create(**ASK, stream=True)
        with pytest.raises(openai.APIError):
            assert [chunk async for chunk in stream]


async def test_an_error_before_the_first_content_is_an_answer_with_its_own_status() -> None:
    async def raises(front: Front) -> None:
        with pytest.raises(anthropic.OverloadedError):
            await front.anthropic.messages.create(**ASK, stream=True)

    role = chat_chunk({"role": "assistant", "content": ""})
    async with fronting(streams(sse(role, {"error": {"message": "overloaded", "code": 503}}))) as front:
        await raises(front)
    async with fronting(streams(OVERLOADED), "anthropic") as front:
        await raises(front)


async def test_a_stream_that_failed_first_is_tried_again_by_the_sdk() -> None:
    behave = in_turn(streams(sse({"error": {"message": "overloaded", "code": 503}})), streams(chat_stream("two")))
    async with fronting(behave, retries=1) as front:
        async with front.anthropic.messages.stream(**ASK) as stream:
            assert await stream.get_final_text() == "two"
        assert len(front.provider.seen) == 2
