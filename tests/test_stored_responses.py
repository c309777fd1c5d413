"""Responses that a client goes on from, reads and deletes, whatever the provider speaks."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from portbroker.app import Listening, running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.kept_responses import ResponseMemory
from tests.clients.scripted import ToolCall, Turn
from tests.clients.scripted_responses import speaking
from tests.providers import Behaviour, FakeProvider, answers, in_turn, serving

FILE = """
providers:
  - name: P
    base_url: {url}/v1
    api_key: sk-secret
    models: [m]
    translation: {{dialect: {dialect}}}
{more}
"""
CALL = ToolCall("weather", {"city": "Oslo"})
TOOL: Any = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
TURNS = (Turn(thinking="Hm", calls=(CALL,)), Turn("It is cold."))
each_dialect = pytest.mark.parametrize("dialect", ["openai.chat", "anthropic.messages", "openai.responses"])


@asynccontextmanager
async def front(
    behave: Behaviour, dialect: str = "openai.chat", more: str = ""
) -> AsyncIterator[tuple[AsyncOpenAI, FakeProvider, Listening]]:
    async with serving(behave) as provider:
        text = FILE.format(url=provider.url, dialect=dialect, more=more)
        snapshot = compile_snapshot(load_text(text.encode(), file="t.yaml", directory=Path("/nonexistent"), environ={}))
        async with (
            running(snapshot, host="127.0.0.1", port=0, max_body=2**22) as listening,
            AsyncOpenAI(api_key="any", base_url=listening.url + "/v1", max_retries=0) as client,
        ):
            yield client, provider, listening


def output_of(call_id: str, output: str = "-3") -> Any:
    return [{"type": "function_call_output", "call_id": call_id, "output": output}]


def items_of(listed: dict[str, object]) -> list[Any]:
    data = listed["data"]
    assert isinstance(data, list)
    return data


def text_of(item: Any) -> str:
    (part,) = item["content"]
    assert (item["type"], item["status"], part["type"]) == ("message", "completed", "input_text")
    return str(part["text"])


def memory_of(listening: Listening) -> ResponseMemory:
    memory = listening.gateway.kept
    assert isinstance(memory, ResponseMemory)
    return memory


@each_dialect
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_goes_on_from_the_response_before(dialect: str, stream: bool) -> None:
    async with front(in_turn(*map(speaking, TURNS)), dialect) as (client, provider, _):
        if stream:
            events = [event async for event in await client.responses.create(
                model="m", input="Is it cold?", tools=[TOOL], stream=True)]  # fmt: skip
            first: Any = events[-1].response  # type: ignore[union-attr]
        else:
            first = await client.responses.create(model="m", input="Is it cold?", tools=[TOOL])
        call: Any = next(item for item in first.output if item.type == "function_call")
        second = await client.responses.create(
            model="m", previous_response_id=first.id, input=output_of(call.call_id), tools=[TOOL]
        )
        assert second.output_text == "It is cold."
        assert len(provider.seen) == 2
        sent = json.dumps(provider.last.body)
        if dialect == "openai.responses":  # its own provider knows what was said before
            assert provider.last.body["previous_response_id"] == first.id
            assert "Is it cold?" not in sent
        else:
            assert second.previous_response_id == first.id
            assert (first.to_dict()["store"], second.to_dict()["store"]) == (True, True)
            assert sent.index("Is it cold?") < sent.index("Oslo") < sent.index("-3")
            assert "previous_response_id" not in sent


async def test_a_conversation_goes_on_over_many_responses_and_branches() -> None:
    async with front(speaking(Turn("One")), "openai.chat") as (client, provider, _):
        first = await client.responses.create(model="m", input="a", instructions="Only now")
        left = await client.responses.create(model="m", input="b", previous_response_id=first.id)
        right = await client.responses.create(model="m", input="c", previous_response_id=first.id)
        for before, said in ((left, ["a", "One", "b", "One", "d"]), (right, ["a", "One", "c", "One", "d"])):
            await client.responses.create(model="m", input="d", previous_response_id=before.id)
            assert [message["content"] for message in provider.last.body["messages"]] == said


async def test_the_thinking_of_a_kept_response_goes_back_to_the_one_who_signed_it() -> None:
    turns = (Turn(thinking="Hm", signature="sig-1", calls=(CALL,)), Turn("Cold."))
    async with front(in_turn(*map(speaking, turns)), "anthropic.messages") as (client, provider, _):
        first = await client.responses.create(model="m", input="x", tools=[TOOL], reasoning={"effort": "low"})
        call: Any = next(item for item in first.output if item.type == "function_call")
        await client.responses.create(
            model="m", previous_response_id=first.id, input=output_of(call.call_id), tools=[TOOL],
            reasoning={"effort": "low"},
        )  # fmt: skip
        assert provider.last.body["messages"][1]["content"][0] == {
            "type": "thinking", "thinking": "Hm", "signature": "sig-1",
        }  # fmt: skip


async def test_what_is_not_to_be_stored_is_not_known_later() -> None:
    async with front(speaking(Turn("Hi"))) as (client, _, listening):
        response = await client.responses.create(model="m", input="a", store=False)
        assert response.to_dict()["store"] is False
        with pytest.raises(BadRequestError) as refused:
            await client.responses.create(model="m", input="b", previous_response_id=response.id)
        assert refused.value.code == "previous_response_not_found"
        assert "stored_responses" in str(refused.value)
        with pytest.raises(NotFoundError):
            await client.responses.retrieve(response.id)
        assert len(memory_of(listening)) == 0


async def test_a_file_may_say_that_nothing_is_kept() -> None:
    async with front(speaking(Turn("Hi")), more="stored_responses: {memory: 0}") as (client, _, _):
        response = await client.responses.create(model="m", input="a")
        assert response.to_dict()["store"] is False
        with pytest.raises(NotFoundError):
            await client.responses.retrieve(response.id)


async def test_without_keys_a_response_that_is_unknown_here_is_asked_of_the_provider_that_may_know_it() -> None:
    async with front(speaking(Turn("Hi")), "openai.responses") as (client, provider, _):
        await client.responses.create(model="m", input="b", previous_response_id="resp_of_yesterday")
        assert provider.last.body["previous_response_id"] == "resp_of_yesterday"


@each_dialect
async def test_a_response_can_be_read_listed_and_deleted(dialect: str) -> None:
    async def behave(request: web.Request) -> web.StreamResponse:
        return await (answers({"deleted": True}) if request.method == "DELETE" else speaking(Turn("Hi")))(request)

    async with front(behave, dialect) as (client, provider, _):
        made = await client.responses.create(model="m", input=[{"role": "user", "content": "a"}])
        assert (await client.responses.retrieve(made.id)).to_dict() == made.to_dict()
        listed = (await client.responses.input_items.list(made.id)).to_dict()
        assert [(item["role"], text_of(item)) for item in items_of(listed)] == [("user", "a")]
        with pytest.raises(BadRequestError, match="Cannot cancel a synchronous response"):
            await client.responses.cancel(made.id)
        await client.responses.delete(made.id)
        assert (provider.last.path == f"/v1/responses/{made.id}") == (dialect == "openai.responses")
        asks: list[Any] = [client.responses.retrieve, client.responses.delete, client.responses.cancel]
        for ask in asks:
            with pytest.raises(NotFoundError) as refused:
                await ask(made.id)
            assert refused.value.param == "id"


async def test_a_response_that_its_provider_keeps_is_not_called_deleted() -> None:
    async def behave(request: web.Request) -> web.StreamResponse:
        refuses = answers({"error": {"message": "no"}}, status=403)
        return await (refuses if request.method == "DELETE" else speaking(Turn("Hi")))(request)

    async with front(behave, "openai.responses") as (client, _, _):
        made = await client.responses.create(model="m", input="a")
        with pytest.raises(Exception, match="P did not delete the response"):
            await client.responses.delete(made.id)
        assert (await client.responses.retrieve(made.id)).id == made.id


async def test_input_items_come_in_pages() -> None:
    async with front(speaking(Turn("Hi"))) as (client, _, _):
        items: Any = [{"role": "user", "content": str(number)} for number in range(7)]
        made = await client.responses.create(model="m", input=items)
        pages = client.responses.input_items.list(made.id, limit=3, order="asc")
        assert [text_of(item.to_dict()) async for item in pages] == [str(number) for number in range(7)]
        newest = (await client.responses.input_items.list(made.id, limit=2)).to_dict()
        assert [text_of(item) for item in items_of(newest)] == ["6", "5"]
        assert newest["has_more"]
        wrongs: list[Any] = [{"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "gone"}]
        for wrong in wrongs:
            with pytest.raises(BadRequestError) as refused:
                await client.responses.input_items.list(made.id, **wrong)
            assert refused.value.param == next(iter(wrong))


async def test_a_failed_or_broken_answer_is_not_kept() -> None:
    async with front(speaking(Turn("Hi"))) as (client, provider, listening):
        provider.behave = answers({"error": {"message": "no"}}, status=500)
        with pytest.raises(Exception, match="no"):
            await client.responses.create(model="m", input="a")
        assert len(memory_of(listening)) == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
async def test_other_methods_are_refused(method: str) -> None:
    async with front(speaking(Turn("Hi"))) as (_, _, listening):
        async with web_client(method, f"{listening.url}/v1/responses/resp_1") as (status, allow):
            assert (status, allow) == (405, "GET, HEAD, DELETE")
        async with web_client("GET", f"{listening.url}/v1/responses/resp_1/cancel") as (status, allow):
            assert (status, allow) == (405, "POST")
        async with web_client("GET", f"{listening.url}/v1/responses/resp_1/other") as (status, allow):
            assert (status, allow) == (404, "")


@asynccontextmanager
async def web_client(method: str, url: str) -> AsyncIterator[tuple[int, str]]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        yield response.status, response.headers.get("allow", "")


async def test_an_earlier_conversation_counts_when_tokens_are_counted() -> None:
    async with front(speaking(Turn("Hi"))) as (client, _, _):
        made = await client.responses.create(model="m", input="word " * 500)
        short = await client.responses.input_tokens.count(model="m", input="b")
        long = await client.responses.input_tokens.count(model="m", input="b", previous_response_id=made.id)
        assert long.input_tokens > short.input_tokens + 400


async def test_an_input_that_is_neither_text_nor_items_is_refused() -> None:
    async with front(speaking(Turn("Hi"))) as (client, _, _):
        made = await client.responses.create(model="m", input="a")
        odd: Any = {"role": "user"}
        with pytest.raises(BadRequestError) as refused:
            await client.responses.create(model="m", input=odd, previous_response_id=made.id)
        assert refused.value.param == "input"


async def test_reasoning_that_only_its_provider_can_read_does_not_go_to_another() -> None:
    more = """
  - {name: Q, base_url: "URL/v1", models: [m], translation: {dialect: openai.chat}, priority: 1}
"""
    turn = Turn("Hi", thinking="Hm")
    async with (
        serving(speaking(turn)) as other,
        front(speaking(turn), "openai.responses") as (client, provider, listening),
    ):
        made = await client.responses.create(model="m", input="a")
        text = FILE.format(url=provider.url, dialect="openai.responses", more=more.replace("URL", other.url))
        file = load_text(text.encode(), file="t.yaml", directory=Path("/nonexistent"), environ={})
        listening.serve(compile_snapshot(file), ())
        await client.responses.create(model="m", input="b", previous_response_id=made.id)
        assert [message["content"] for message in other.last.body["messages"]] == ["a", "Hi", "b"]
