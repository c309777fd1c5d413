"""What is done about failures, through the whole gateway: keys, waits, fallbacks, hedges, limits, probes."""

import asyncio
import gc
import json
import logging
from collections import Counter
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from portbroker.call import Call
from tests.providers import (
    Behaviour,
    Json,
    answers,
    chat_answer,
    chat_chunk,
    chat_stream,
    in_turn,
    serving,
    sse,
    streams,
)
from tests.test_gateway import ASK, Client, gateway

LIMITED = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
REFUSED = {"error": {"message": "bad key", "type": "invalid_request_error", "code": "invalid_api_key"}}
OVERFLOW = {"error": {"message": "maximum context length is 8192 tokens", "code": "context_length_exceeded"}}
FAILED = {"error": {"message": "oops", "type": "server_error"}}


def file(*providers: str, rest: str = "") -> str:
    """Providers `P1`, `P2`, … given as the rest of their flow mapping."""
    lines = [f"  - {{name: P{i}, priority: {i}, models: [m], {words}}}\n" for i, words in enumerate(providers, 1)]
    return "providers:\n" + "".join(lines) + rest


def at(provider: Any, words: str = "api_key: k") -> str:
    return f"base_url: '{provider.url}/v1', {words}"


async def ask(client: Client, **more: Any) -> tuple[aiohttp.ClientResponse, Json]:
    return await client.ask(model="m", **more)


def text(body: Json) -> str:
    return str(body["content"][0]["text"])


def keys(provider: Any) -> list[str]:
    return [seen.headers["authorization"].removeprefix("Bearer ") for seen in provider.seen]


def by_key(**behaviours: Behaviour) -> Behaviour:
    """Each key meets its own behaviour."""

    async def behave(request: web.Request) -> web.StreamResponse:
        return await behaviours[request.headers["authorization"].removeprefix("Bearer ")](request)

    return behave


def held(release: asyncio.Event, begun: asyncio.Semaphore | None = None) -> Behaviour:
    """Answers when it is told to."""

    async def behave(_: web.Request) -> web.StreamResponse:
        if begun is not None:
            begun.release()
        await release.wait()
        return web.json_response(chat_answer("held"))

    return behave


# keys


@pytest.mark.parametrize(("status", "body"), [(401, REFUSED), (402, FAILED), (403, FAILED), (429, LIMITED)])
async def test_a_key_that_is_refused_rests_and_the_next_one_answers(status: int, body: Json) -> None:
    behave = by_key(k1=answers(body, status, {"retry-after": "60"}), k2=answers(chat_answer("two")))
    async with serving(behave) as provider, gateway(file(at(provider, "api_keys: [k1, {name: b, key: k2}]"))) as client:
        for _ in range(4):
            _, answer = await ask(client)
            assert text(answer) == "two"
        assert keys(provider) == ["k1", "k2", "k2", "k2", "k2"]


async def test_sound_keys_are_used_in_turn() -> None:
    async with serving(answers(chat_answer())) as provider:
        async with gateway(file(at(provider, "api_keys: [k1, k2, k3]"))) as client:
            for _ in range(6):
                await ask(client)
            assert Counter(keys(provider)) == {"k1": 2, "k2": 2, "k3": 2}


async def test_when_all_keys_are_refused_the_client_learns_who_refused_and_no_key() -> None:
    async with serving(answers(REFUSED, 401)) as provider:
        async with gateway(file(at(provider, "api_keys: [k-secret-1, k-secret-2]"))) as client:
            for tried in ("2", None):
                response, body = await ask(client)
                assert response.status == 502
                assert response.headers.get("x-portbroker-attempts") == tried
                assert "P1" in body["error"]["message"]
                assert "k-secret" not in json.dumps(body)
            assert len(provider.seen) == 2
            assert int(response.headers["retry-after"]) in (59, 60)


# what is left


async def test_a_call_that_is_over_is_forgotten_without_the_garbage_collector() -> None:
    async with serving(answers(chat_answer())) as provider, gateway(file(at(provider))) as client:
        gc.collect()
        others = calls_alive()  # of other tests, whatever holds them
        gc.disable()
        try:
            await ask(client)
            left = [call for call in calls_alive() if not any(call is other for other in others)]
        finally:
            gc.enable()
        assert left == []


def calls_alive() -> list[Call]:
    return [found for found in gc.get_objects() if isinstance(found, Call)]


# waiting


async def test_a_short_retry_after_is_waited_for() -> None:
    behave = in_turn(answers(LIMITED, 429, {"retry-after-ms": "40"}), answers(chat_answer("later")))
    async with serving(behave) as provider, gateway(file(at(provider))) as client:
        response, body = await ask(client)
        assert (response.status, text(body), response.headers["x-portbroker-attempts"]) == (200, "later", "2")


async def test_a_long_retry_after_sends_the_call_elsewhere_and_others_straight_there() -> None:
    async with (
        serving(answers(LIMITED, 429, {"retry-after": "600"})) as first,
        serving(answers(chat_answer("two"))) as second,
        gateway(file(at(first), at(second))) as client,
    ):
        attempts = [(await ask(client))[0].headers["x-portbroker-attempts"] for _ in range(3)]
        assert attempts == ["2", "1", "1"]
        assert len(first.seen) == 1


async def test_a_call_waits_for_the_end_of_a_rest_and_is_let_through_as_its_probe() -> None:
    behave = in_turn(answers(FAILED, 500), answers(chat_answer("back")))
    rest = "breaker: {failures: 1, cool_down: 50ms}\nretry: {same_target: 0}\n"
    async with serving(behave) as provider, gateway(file(at(provider), rest=rest)) as client:
        assert (await ask(client))[0].status == 500
        both = await asyncio.gather(ask(client), ask(client))
        assert [text(body) for _, body in both] == ["back", "back"]


async def test_when_all_rest_for_too_long_the_client_is_told_why_and_until_when() -> None:
    async with serving(answers(LIMITED, 429, {"retry-after": "77"})) as provider:
        async with gateway(file(at(provider))) as client:
            await ask(client)
            response, body = await ask(client)
            assert response.status == 429
            assert int(response.headers["retry-after"]) in (76, 77)
            assert "left alone" in body["error"]["message"]
            assert "slow down" in body["error"]["message"]
            assert len(provider.seen) == 1


async def test_a_dead_provider_is_not_connected_to_any_more() -> None:
    rest = "breaker: {failures: 2, cool_down: 1h, longest: 1h}\n"
    async with serving(answers(chat_answer("two"))) as second:
        async with gateway(file("base_url: 'http://127.0.0.1:1/v1'", at(second), rest=rest)) as client:
            attempts = [(await ask(client))[0].headers["x-portbroker-attempts"] for _ in range(4)]
            assert attempts == ["2", "2", "1", "1"]


# fallbacks

FALLBACKS = """models:
  - match: m
    targets: [{provider: P1, model: m}]
    fallbacks: {context_window: [long], content_policy: [careful]}
  - {match: long, targets: [{provider: P2, model: long}]}
  - {match: careful, targets: [{provider: P3, model: careful}]}
"""


@pytest.mark.parametrize(
    ("refusal", "model"),
    [(OVERFLOW, "long"), ({"error": {"message": "no", "code": "content_policy_violation"}}, "careful")],
    ids=["overflow", "policy"],
)
async def test_a_call_that_is_refused_for_what_it_is_goes_to_the_fallback(refusal: Json, model: str) -> None:
    async with serving(answers(refusal, 400)) as first, serving(answers(chat_answer("ok"))) as other:
        async with gateway(file(at(first), at(other), at(other), rest=FALLBACKS)) as client:
            response, _ = await ask(client)
            assert (response.status, response.headers["x-portbroker-model"]) == (200, model)
            assert other.last.body["model"] == model


async def test_an_overflow_is_told_when_the_fallbacks_fail_too() -> None:
    async with serving(answers(OVERFLOW, 400)) as first, serving(answers(FAILED, 500)) as other:
        async with gateway(file(at(first), at(other), at(other), rest=FALLBACKS)) as client:
            response, body = await ask(client)
            assert response.status == 400
            assert body["error"]["message"].startswith("prompt is too long")
            assert response.headers["x-portbroker-attempts"] == "3"


# time-outs and hedging


async def test_a_stream_that_begins_and_then_says_nothing_is_too_slow() -> None:
    role = sse(chat_chunk({"role": "assistant", "content": ""}))
    slow = "api_key: k, timeout: {first_byte: 100ms}"
    async with serving(streams(role, then="hang")) as first, serving(streams(chat_stream("two"))) as second:
        async with gateway(file(at(first, slow), at(second))) as client:
            response, events = await client.stream(model="m")
            assert response.headers["x-portbroker-provider"] == "P2"
            assert events[-1]["type"] == "message_stop"
            assert [event["type"] for event in events].count("message_start") == 1
            await asyncio.wait_for(first.disconnected.wait(), 2)


HEDGED = """models:
  - match: m
    targets: [{provider: P1, model: m}, {provider: P2, model: m}]
    hedge: {after: 50ms}
"""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_first_to_speak_is_kept_and_the_other_is_closed(stream: bool) -> None:
    good = streams(chat_stream("two")) if stream else answers(chat_answer("two"))
    async with serving(streams(then="hang")) as first, serving(good) as second:
        async with gateway(file(at(first), at(second), rest=HEDGED)) as client:
            response, raw = await client.post("/v1/messages", {**ASK, "model": "m", "stream": stream})
            assert response.status == 200
            assert b"two" in raw
            assert raw.count(b'"message_start"') == stream
            assert response.headers["x-portbroker-provider"] == "P2"
            assert response.headers["x-portbroker-attempts"] == "2"
            await asyncio.wait_for(first.disconnected.wait(), 2)


async def test_a_hedge_that_fails_leaves_the_first_alone() -> None:
    release = asyncio.Event()

    async def fail(_: web.Request) -> web.StreamResponse:
        asyncio.get_running_loop().call_later(0.05, release.set)
        return web.json_response(FAILED, status=500)

    async with serving(held(release)) as first, serving(fail) as second:
        async with gateway(file(at(first), at(second), rest=HEDGED)) as client:
            response, body = await ask(client)
            assert (text(body), response.headers["x-portbroker-provider"]) == ("held", "P1")
            assert len(second.seen) == 1


async def test_both_attempts_end_when_the_client_leaves() -> None:
    async with serving(streams(then="hang")) as first, serving(streams(then="hang")) as second:
        async with gateway(file(at(first), at(second), rest=HEDGED)) as client:
            asking = asyncio.create_task(ask(client))
            while not second.seen:
                await asyncio.sleep(0.005)
            asking.cancel()
            await asyncio.wait_for(first.disconnected.wait(), 2)
            await asyncio.wait_for(second.disconnected.wait(), 2)


# limits


async def test_calls_beyond_the_limit_queue_up_and_those_beyond_the_queue_go_elsewhere() -> None:
    release, begun = asyncio.Event(), asyncio.Semaphore(0)
    limited = "api_key: k, limits: {concurrency: 1, queue: 1}"
    async with serving(held(release, begun)) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(file(at(first, limited), at(second))) as client:
            under_way = asyncio.create_task(ask(client))
            await begun.acquire()
            more = [asyncio.create_task(ask(client)) for _ in range(2)]
            done, waiting = await asyncio.wait(more, return_when=asyncio.FIRST_COMPLETED)
            assert [text(call.result()[1]) for call in done] == ["two"]
            assert len(first.seen) == 1
            release.set()
            assert [text((await call)[1]) for call in (under_way, *waiting)] == ["held", "held"]
            assert len(first.seen) == 2


async def test_a_queue_that_does_not_move_is_left_for_the_next_target() -> None:
    release, begun = asyncio.Event(), asyncio.Semaphore(0)
    limited = "api_key: k, limits: {concurrency: 1, queue: 5}"
    async with serving(held(release, begun)) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(file(at(first, limited), at(second), rest="retry: {wait: 50ms}\n")) as client:
            under_way = asyncio.create_task(ask(client))
            await begun.acquire()
            assert text((await ask(client))[1]) == "two"
            release.set()
            await under_way
            assert text((await ask(client))[1]) == "held"


async def test_a_provider_that_is_all_busy_and_alone_says_so() -> None:
    release, begun = asyncio.Event(), asyncio.Semaphore(0)
    async with serving(held(release, begun)) as first:
        async with gateway(file(at(first, "api_key: k, limits: {concurrency: 1}"))) as client:
            under_way = asyncio.create_task(ask(client))
            await begun.acquire()
            response, body = await ask(client)
            assert response.status == 529
            assert "busy" in body["error"]["message"]
            release.set()
            await under_way


async def test_the_requests_of_a_minute_are_kept_for_each_key() -> None:
    limited = "api_keys: [k1, k2], limits: {per_key: {requests_per_minute: 2}}"
    async with serving(answers(chat_answer("one"))) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(file(at(first, limited), at(second))) as client:
            said = [text((await ask(client))[1]) for _ in range(6)]
            assert said == ["one"] * 4 + ["two"] * 2
            assert Counter(keys(first)) == {"k1": 2, "k2": 2}


async def test_tokens_are_counted_as_they_were_used() -> None:
    answer = chat_answer("one")
    answer["usage"] = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}
    async with serving(answers(answer)) as first, serving(answers(chat_answer("two"))) as second:
        limited = at(first, "api_key: k, limits: {tokens_per_minute: 1000}")
        async with gateway(file(limited, at(second))) as client:
            assert [text((await ask(client))[1]) for _ in range(2)] == ["one", "two"]


# probes


@pytest.mark.parametrize("check", ["path: /models", "model: small"])
async def test_a_probe_finds_out_that_a_provider_is_down_and_that_it_is_back(check: str) -> None:
    rest = "breaker: {failures: 2, cool_down: 1h, longest: 1h}\n"
    checked = f"api_key: k, health_check: {{interval: 20ms, {check}}}"
    async with serving(answers(FAILED, 500)) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(file(at(first, checked), at(second), rest=rest)) as client:
            while len(first.seen) < 3:
                await asyncio.sleep(0.005)
            response, _ = await ask(client)
            assert (response.headers["x-portbroker-attempts"], response.headers["x-portbroker-provider"]) == ("1", "P2")
            first.behave = answers(chat_answer("back"))
            while (await ask(client))[0].headers["x-portbroker-provider"] != "P1":
                await asyncio.sleep(0.005)
            assert first.seen[0].path == ("/v1/models" if "path" in check else "/v1/chat/completions")


# what can be seen


async def test_the_log_has_one_line_with_every_attempt_and_why_it_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "portbroker.calls")
    behave = by_key(k1=answers(REFUSED, 401), k2=answers(FAILED, 503))
    async with serving(behave) as first, serving(answers(chat_answer("two"))) as second:
        async with gateway(file(at(first, "api_keys: [k1, k2]"), at(second))) as client:
            await ask(client)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "portbroker.calls"]
    told = [part.split(" after ")[0] for part in line.split(" -> ")[1].split(", ")]
    assert told[:2] == ["P1/m key 1 (auth 401", "next key: P1/m key 2 (overloaded 503"]
    assert told[2].startswith("next target: P2/m")


async def test_the_reset_of_a_used_up_limit_is_a_time_to_wait() -> None:
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "30ms"}
    behave = in_turn(answers(LIMITED, 429, headers), answers(chat_answer("later")))
    async with serving(behave) as provider, gateway(file(at(provider))) as client:
        assert text((await ask(client))[1]) == "later"
