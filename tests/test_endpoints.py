"""Embeddings, images, sound and the like: passed on to whoever has them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from portbroker.endpoints import ENDPOINT_NAMES, ENDPOINTS
from portbroker.fieldmap.presets import preset_names, provider_defaults
from tests.providers import Behaviour, Json, answers, in_turn, serving
from tests.test_gateway import ASK, Client, config, gateway

EMBEDDING: Json = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "model": "upstream-model",
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
SOUND = bytes(range(256)) * 400


def file(*urls: str, endpoints: str = "[embeddings, audio/speech, audio/transcriptions, completions]") -> str:
    text = config(*urls)
    return text.replace("    models: [big]\n", f"    models: [big]\n    endpoints: {endpoints}\n")


def sending(body: bytes, kind: str, *, cut: bool = False, status: int = 200) -> Behaviour:
    """This body in pieces, which come one by one."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"content-type": kind})
        await response.prepare(request)
        for at in range(0, len(body), 10_000):
            await response.write(body[at : at + 10_000])
            await asyncio.sleep(0)
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return behave


async def told(response: aiohttp.ClientResponse, raw: bytes) -> Json:
    body: Json = json.loads(raw)
    return {"status": response.status, **body}


async def test_a_call_goes_to_the_provider_with_its_model_and_nothing_else_changed() -> None:
    asked = b'{"input":  ["a", "b"], "model":"big", "encoding_format": "base64", "future": {"model": "x"}}'
    answer = json.dumps(EMBEDDING, indent=3).encode()
    async with serving(answers(answer, headers={"content-type": "application/json; x=y"})) as provider:
        async with gateway(file(provider.url)) as client:
            response, raw = await client.post("/v1/embeddings?trace=1", asked)
            assert (response.status, raw) == (200, answer)
            assert response.headers["content-type"] == "application/json; x=y"
            assert provider.last.path == "/v1/embeddings"
            assert provider.last.body == {**json.loads(asked), "model": "big"}
            assert provider.last.headers["authorization"] == "Bearer sk-secret-1"
            response, _ = await client.post("/v1/embeddings", {"model": "P1/text-embedding", "input": "x"})
            assert provider.last.body == {"model": "text-embedding", "input": "x"}
            assert response.headers["x-portbroker-model"] == "text-embedding"


@pytest.mark.parametrize("path", ["/embeddings", "/v1/v1/embeddings", "/v1/embeddings/"])
async def test_a_path_is_known_in_every_spelling(path: str) -> None:
    async with serving(answers(EMBEDDING)) as provider, gateway(file(provider.url)) as client:
        response, _ = await client.post(path, {"model": "big", "input": "x"})
        assert (response.status, provider.last.path) == (200, "/v1/embeddings")


async def test_a_provider_that_fails_hands_over_to_one_that_has_the_endpoint_too() -> None:
    async with (
        serving(answers({"error": {"message": "down"}}, status=503)) as first,
        serving(answers(EMBEDDING)) as last,
    ):
        async with gateway(file(first.url, last.url)) as client:
            response, _ = await client.post("/v1/embeddings", {"model": "big", "input": "x"})
            assert (response.status, response.headers["x-portbroker-provider"]) == (200, "P2")
            assert response.headers["x-portbroker-attempts"] == "2"


async def test_a_provider_without_the_endpoint_is_passed_over() -> None:
    async with serving(answers(EMBEDDING)) as first, serving(answers(EMBEDDING)) as last:
        text = file(first.url, last.url).replace("    endpoints: [embeddings, audio", "    endpoints: [audio", 1)
        async with gateway(text) as client:
            response, _ = await client.post("/v1/embeddings", {"model": "big", "input": "x"})
            assert (response.status, response.headers["x-portbroker-provider"], first.seen) == (200, "P2", [])


async def test_an_endpoint_that_nobody_has_is_a_404_that_says_what_to_do() -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        body = await told(*await client.post("/v1/rerank", {"model": "big", "query": "x", "documents": []}))
        assert (body["status"], body["error"]["code"]) == (404, "endpoint_not_found")
        assert "P1 has no rerank" in body["error"]["message"]
        assert "`endpoints: [rerank]`" in body["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"input": "x"}, 400, "model"), (b"{", 400, None), ([], 400, None), ({"model": "nobody"}, 404, "model"),
        ({"model": ""}, 400, "model"),
    ],
)  # fmt: skip
async def test_a_body_that_names_no_model_is_refused(asked: Any, status: int, param: str | None) -> None:
    async with gateway(file("http://127.0.0.1:1")) as client:
        body = await told(*await client.post("/v1/embeddings", asked))
        assert (body["status"], body["error"]["param"]) == (status, param)


async def test_other_methods_are_not_allowed() -> None:
    async with gateway(file("http://127.0.0.1:1")) as client:
        async with client.session.get(client.url + "/v1/embeddings") as response:
            assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_a_providers_own_refusal_reaches_the_client() -> None:
    refusal = {
        "error": {"message": "input is too odd", "type": "invalid_request_error", "param": "input", "code": None}
    }
    async with serving(answers(refusal, status=400)) as first, serving(answers(EMBEDDING)) as last:
        async with gateway(file(first.url, last.url)) as client:
            body = await told(*await client.post("/v1/embeddings", {"model": "big", "input": "x"}))
            assert (body["status"], body["error"]["param"]) == (400, "input")
            assert last.seen == []


async def test_an_error_in_an_answer_that_looks_well_is_a_failure() -> None:
    failing = answers({"error": {"message": "overloaded", "type": "server_error"}})
    async with serving(failing) as first, serving(answers(EMBEDDING)) as last:
        async with gateway(file(first.url, last.url)) as client:
            response, _ = await client.post("/v1/embeddings", {"model": "big", "input": "x"})
            assert response.headers["x-portbroker-provider"] == "P2"


# forms


def upload(model: str | None = "big") -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", SOUND, filename="model.mp3", content_type="audio/mpeg")
    form.add_field("language", "en")
    if model is not None:
        form.add_field("model", model)
    return form


@contextlib.asynccontextmanager
async def taking_forms(behave: Behaviour) -> AsyncIterator[str]:
    """The URL of a provider that takes forms, which those of other tests do not."""
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", behave)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def listening(seen: list[dict[str, bytes]]) -> Behaviour:
    """Keeps the fields of the form that it gets."""

    async def behave(request: web.Request) -> web.StreamResponse:
        fields = await request.post()
        seen.append({k: v.file.read() if isinstance(v, web.FileField) else str(v).encode() for k, v in fields.items()})
        return web.json_response({"text": "hello", "usage": {"type": "tokens", "input_tokens": 9, "output_tokens": 2}})

    return behave


async def test_a_form_is_passed_on_with_its_files_and_another_model() -> None:
    seen: list[dict[str, bytes]] = []
    async with taking_forms(listening(seen)) as url, gateway(file(url)) as client:
        form = upload("P1/whisper-1")
        async with client.session.post(client.url + "/v1/audio/transcriptions", data=form) as response:
            assert (response.status, (await response.json())["text"]) == (200, "hello")
            assert response.headers["x-portbroker-model"] == "whisper-1"
    assert seen == [{"file": SOUND, "language": b"en", "model": b"whisper-1"}]


async def test_a_form_is_sent_again_to_the_next_provider() -> None:
    seen: list[dict[str, bytes]] = []
    behave = in_turn(answers({"error": "no"}, status=500), listening(seen))
    async with taking_forms(behave) as url, gateway(file(url, url)) as client:
        async with client.session.post(client.url + "/v1/audio/transcriptions", data=upload()) as response:
            assert (response.status, response.headers["x-portbroker-attempts"]) == (200, "2")
    assert seen[0]["file"] == SOUND


@pytest.mark.parametrize(("model", "says"), [(None, "model: is missing"), ("", "must not be empty")])
async def test_a_form_without_a_model_is_refused(model: str | None, says: str) -> None:
    async with gateway(file("http://127.0.0.1:1")) as client:
        async with client.session.post(client.url + "/v1/audio/transcriptions", data=upload(model)) as response:
            body = await told(response, await response.read())
    assert (body["status"], body["error"]["param"]) == (400, "model")
    assert says in body["error"]["message"]


# what is not JSON


async def test_sound_arrives_as_it_is_made() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "audio/mpeg"})
        await response.prepare(request)
        await response.write(SOUND)
        begun.set()
        await go_on.wait()
        await response.write(SOUND)
        return response

    async with serving(behave) as provider, gateway(file(provider.url)) as client:
        asked = json.dumps({"model": "big", "input": "Hi", "voice": "alloy"})
        async with client.session.post(client.url + "/v1/audio/speech", data=asked) as response:
            assert response.headers["content-type"] == "audio/mpeg"
            first = await response.content.readexactly(len(SOUND))
            assert begun.is_set()
            go_on.set()
            assert first + await response.read() == SOUND * 2
        assert provider.last.headers["accept"] == "*/*"


async def test_sound_that_breaks_off_does_not_look_whole() -> None:
    async with serving(sending(SOUND, "audio/mpeg", cut=True)) as provider, gateway(file(provider.url)) as client:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
            await client.post("/v1/audio/speech", {"model": "big", "input": "Hi"})


async def test_an_empty_transcript_is_an_answer() -> None:
    async with serving(sending(b"", "text/plain")) as provider, gateway(file(provider.url)) as client:
        response, raw = await client.post("/v1/audio/transcriptions", {"model": "big"})
        assert (response.status, raw) == (200, b"")


async def test_a_stream_of_events_is_passed_on_and_its_usage_is_read(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stream = (
        b'data: {"id":"c","choices":[{"text":"Hi"}]}\n\n'
        b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5}}\n\ndata: [DONE]\n\n'
    )
    async with serving(sending(stream, "text/event-stream")) as provider, gateway(file(provider.url)) as client:
        response, raw = await client.post("/v1/completions", {"model": "big", "prompt": "x", "stream": True})
        assert raw == stream
        assert response.headers["content-type"] == "text/event-stream"
    assert any("tokens=11+5" in record.getMessage() for record in caplog.records)


async def test_a_stream_that_begins_with_an_error_is_tried_elsewhere() -> None:
    bad = sending(b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n', "text/event-stream")
    good = sending(b'data: {"choices":[{"text":"Hi"}]}\n\n', "text/event-stream")
    async with serving(bad) as first, serving(good) as last, gateway(file(first.url, last.url)) as client:
        response, raw = await client.post("/v1/completions", {"model": "big", "prompt": "x", "stream": True})
        assert (response.headers["x-portbroker-provider"], raw) == ("P2", b'data: {"choices":[{"text":"Hi"}]}\n\n')


async def test_a_stream_that_breaks_off_ends_with_an_error_event() -> None:
    cut = sending(b'data: {"choices":[{"text":"Hi"}]}\n\n', "text/event-stream", cut=True)
    async with serving(cut) as provider, gateway(file(provider.url)) as client:
        _, raw = await client.post("/v1/completions", {"model": "big", "prompt": "x", "stream": True})
        assert json.loads(raw.split(b"data: ")[-1])["error"]["message"]


# counting tokens


async def test_an_anthropic_provider_counts_itself() -> None:
    async with serving(answers({"input_tokens": 4242})) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            for path in ("/v1/messages/count_tokens?beta=true", "/api/anthropic/v1/messages/count_tokens?beta=true"):
                headers = {"anthropic-beta": "b1", "anthropic-version": "2026-10-21"}
                response, raw = await client.post(path, {"model": "big", "messages": ASK["messages"]}, **headers)
                assert (response.status, json.loads(raw)) == (200, {"input_tokens": 4242})
                assert "x-portbroker-usage" not in response.headers
                assert provider.last.path == "/v1/messages/count_tokens?beta=true"
                assert provider.last.headers["anthropic-beta"] == "b1"
                assert provider.last.body == {"model": "big", "messages": ASK["messages"]}


async def test_thinking_that_another_provider_made_is_not_counted_by_anthropic() -> None:
    foreign = {"type": "thinking", "thinking": "hm", "signature": "pb1.e30"}
    messages = [ASK["messages"][0], {"role": "assistant", "content": [foreign, {"type": "text", "text": "Hi"}]},
                ASK["messages"][0]]  # fmt: skip
    async with serving(answers({"input_tokens": 1})) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            await client.post("/v1/messages/count_tokens", {"model": "big", "messages": messages})
            assert provider.last.body["messages"][1]["content"] == [{"type": "text", "text": "Hi"}]


async def count(client: Client, path: str = "/v1/messages/count_tokens", **more: Any) -> tuple[int, Json, bool]:
    response, raw = await client.post(path, {"model": "big", "messages": ASK["messages"], **more})
    return response.status, json.loads(raw), response.headers.get("x-portbroker-usage") == "estimated"


@pytest.mark.parametrize(
    "behave",
    [answers({"error": {"message": "no such path"}}, status=404), answers({"error": "x"}, status=500),
     answers("nonsense"), answers(b"<html>", headers={"content-type": "text/html"})],
)  # fmt: skip
async def test_a_provider_that_cannot_count_is_counted_for(behave: Behaviour) -> None:
    async with serving(behave) as provider, gateway(config(provider.url, provider_type="anthropic")) as client:
        status, body, estimated = await count(client)
        assert (status, list(body), estimated) == (200, ["input_tokens"], True)


async def test_a_body_that_the_provider_refuses_to_count_is_refused() -> None:
    refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": "messages: odd"}}
    async with serving(answers(refusal, status=400)) as provider:
        async with gateway(config(provider.url, provider_type="anthropic")) as client:
            status, body, _ = await count(client)
            assert (status, body["error"]["message"]) == (400, "messages: odd")


async def test_where_the_call_would_go_to_another_dialect_nobody_is_asked() -> None:
    async with serving(answers({"input_tokens": 1})) as chat, serving(answers({"input_tokens": 2})) as anthropic:
        second = (
            config(anthropic.url, provider_type="anthropic").replace("P1", "A").replace("priority: 1", "priority: 9")
        )
        async with gateway(config(chat.url) + second.removeprefix("providers:\n")) as client:
            status, _, estimated = await count(client)
            assert (status, estimated, chat.seen, anthropic.seen) == (200, True, [], [])


async def test_a_model_that_nobody_serves_is_counted_all_the_same() -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        assert (await count(client, model="unheard-of"))[0] == 200


async def test_a_responses_client_has_its_own_count() -> None:
    async with gateway(config("http://127.0.0.1:1")) as client:
        status, body, _ = await count(client, "/v1/responses/input_tokens", input="hello there")
        assert (status, body["object"]) == (200, "response.input_tokens")
        assert body["input_tokens"] > 0


# the table


def test_every_preset_names_endpoints_that_there_are() -> None:
    assert set(ENDPOINT_NAMES) >= {name for preset in preset_names() for name in provider_defaults(preset).endpoints}
    assert set(provider_defaults("anthropic").endpoints) == {"messages/count_tokens"}


def test_an_endpoint_lies_beside_the_calls() -> None:
    assert all(path.endswith(f"/v1{endpoint.path}") for path, endpoint in ENDPOINTS.items())


async def test_an_endpoint_of_a_url_with_a_deployment_lies_beside_its_calls() -> None:
    text = config("http://127.0.0.1:9").replace("    models:", "    translation: {url: '${base}/d/${model}/chat/"
        "completions?api-version=1'}\n    endpoints: [embeddings]\n    models:")  # fmt: skip
    async with serving(answers(EMBEDDING)) as provider:
        async with gateway(text.replace("http://127.0.0.1:9", provider.url)) as client:
            await client.post("/v1/embeddings", {"model": "big", "input": "x"})
            assert provider.last.path == "/v1/d/big/embeddings?api-version=1"
