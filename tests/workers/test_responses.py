"""Stored responses over two workers of a real server: one goes on from what the other was told."""

from pathlib import Path

from portbroker.store.records import KeyLimits
from tests.providers import Json, answers, chat_answer, serving
from tests.workers.test_state import Pair, pair

TURNS = 12


async def respond(both: Pair, **body: str) -> tuple[int, Json]:
    """The status and body of a response, over a connection of its own, so that either worker may answer."""
    headers = {"x-api-key": both.key, "connection": "close"}
    asked = {"model": "small", **body}
    async with both.session.post(f"{both.url}/v1/responses", json=asked, headers=headers) as response:
        return response.status, await response.json()


async def test_whichever_worker_answers_knows_what_was_said(tmp_path: Path) -> None:
    async with serving(answers(chat_answer("Hi"))) as provider, pair(tmp_path, provider, KeyLimits()) as both:
        _, made = await respond(both, input="the beginning")
        for _ in range(TURNS):
            status, made = await respond(both, input="more", previous_response_id=made["id"])
            assert status == 200, made
        said = [message["content"] for message in provider.last.body["messages"]]
        assert said == ["the beginning", *["Hi", "more"] * TURNS]
