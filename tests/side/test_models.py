"""The list of models as clients of both dialects see it."""

import json
from typing import Any

import pytest

from tests.providers import Json, answers, anthropic_answer, serving
from tests.test_gateway import Client, gateway

FILE = """
providers:
  - {name: One, base_url: "http://127.0.0.1:1/v1", small_model: tiny, models: [vendor/plain, claude-one, "gpt-*"]}
  - {name: Two, base_url: "http://127.0.0.1:1/v1", models: [third]}
models:
  - {match: fast, targets: [{provider: One, model: tiny}]}
  - {match: "claude-*haiku*", tier: small}
catalog:
  vendor/plain: {context_window: 1000, max_output_tokens: 100, created: 1700000000}
  tiny: {context_window: 64000}
"""
NAMES = ["fast", "vendor/plain", "claude-one", "third"]
ALIASES = ["claude-via-fast", "claude-via-vendor/plain", "claude-via-third"]
ANTHROPIC = {"anthropic-version": "2023-06-01"}


async def get(client: Client, path: str, **headers: str) -> tuple[int, Json]:
    async with client.session.get(client.url + path, headers=headers) as response:
        return response.status, json.loads(await response.read())


async def names(client: Client, query: str) -> tuple[list[str], Any]:
    status, body = await get(client, f"/v1/models?{query}", **ANTHROPIC)
    assert status == 200, body
    assert [body["first_id"], body["last_id"]] == ([body["data"][0]["id"], body["data"][-1]["id"]] if body["data"]
                                                   else [None, None])  # fmt: skip
    return [model["id"] for model in body["data"]], body["has_more"]


async def test_an_openai_client_sees_every_name_with_its_limits() -> None:
    async with gateway(FILE) as client:
        _, body = await get(client, "/v1/models")
        assert body["object"] == "list"
        assert [model["id"] for model in body["data"]] == NAMES
        assert body["data"][1] == {
            "id": "vendor/plain", "object": "model", "created": 1700000000, "owned_by": "One",
            "context_window": 1000, "max_output_tokens": 100,
        }  # fmt: skip
        assert body["data"][0]["context_window"] == 64000  # what is known of the model behind the name
        assert "context_window" not in body["data"][3]


async def test_an_anthropic_client_sees_them_too_and_names_that_claude_code_shows() -> None:
    async with gateway(FILE) as client:
        assert await names(client, "limit=1000") == (NAMES + ALIASES, False)
        _, body = await get(client, "/v1/models/vendor/plain", **ANTHROPIC)
        assert body == {
            "type": "model", "id": "vendor/plain", "display_name": "vendor/plain",
            "created_at": "2023-11-14T22:13:20Z", "max_input_tokens": 1000, "max_tokens": 100,
        }  # fmt: skip
        _, alias = await get(client, "/v1/models/claude-via-vendor%2Fplain", **ANTHROPIC)
        assert alias == {**body, "id": "claude-via-vendor/plain"}


async def test_pages_follow_each_other_in_both_directions() -> None:
    whole = NAMES + ALIASES
    async with gateway(FILE) as client:
        assert await names(client, "limit=3") == (whole[:3], True)
        assert await names(client, f"limit=3&after_id={whole[2]}") == (whole[3:6], True)
        assert await names(client, f"limit=3&after_id={whole[5]}") == (whole[6:], False)
        assert await names(client, f"limit=3&after_id={whole[-1]}") == ([], False)
        assert await names(client, f"limit=3&before_id={whole[5]}") == (whole[2:5], True)
        assert await names(client, f"limit=3&before_id={whole[2]}") == (whole[:2], False)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "limit=%C2%B2", "limit=-1",
                                   "after_id=gone", "before_id=gone"])  # fmt: skip
async def test_a_page_that_cannot_be_is_refused_with_the_word_that_is_wrong(query: str) -> None:
    async with gateway(FILE) as client:
        status, body = await get(client, f"/v1/models?{query}", **ANTHROPIC)
        assert status == 400
        assert body["type"] == "error"
        assert query.partition("=")[0] in body["error"]["message"]


async def test_the_dialect_is_told_by_what_only_anthropics_clients_send() -> None:
    async with gateway(FILE) as client:
        for path, headers in (
            ("/v1/models", ANTHROPIC), ("/v1/models", {"x-api-key": "k"}), ("/v1/models?limit=5", {}),
            ("/v1/models?after_id=fast", {}),
        ):  # fmt: skip
            assert "has_more" in (await get(client, path, **headers))[1], (path, headers)
        for headers in ({}, {"authorization": "Bearer k"}, {"authorization": "Bearer k", "x-api-key": "k"}):
            assert "object" in (await get(client, "/v1/models?client_version=1", **headers))[1], headers


async def test_a_name_that_only_a_pattern_serves_is_known_too() -> None:
    async with gateway(FILE) as client:
        _, body = await get(client, "/v1/models/claude-haiku-4-5", **ANTHROPIC)
        assert (body["id"], body["max_input_tokens"]) == ("claude-haiku-4-5", 64000)
        _, other = await get(client, "/v1/models/gpt-9")
        assert (other["id"], other["owned_by"]) == ("gpt-9", "One")


@pytest.mark.parametrize("headers", [{}, ANTHROPIC])
async def test_a_name_that_nobody_serves_is_not_found_in_the_clients_dialect(headers: dict[str, str]) -> None:
    async with gateway(FILE) as client:
        status, body = await get(client, "/v1/models/no/such%20model", **headers)
        assert status == 404
        assert "no/such model" in body["error"]["message"]
        assert body["error"].get("code", "model_not_found") == "model_not_found"
        assert ("type" in body) == bool(headers)


async def test_a_call_for_an_alias_is_a_call_for_its_model() -> None:
    async with serving(answers(anthropic_answer())) as provider:
        file = f"providers: [{{name: P, provider_type: anthropic, base_url: '{provider.url}/v1', models: [x-opus]," \
            " api_key: k}, {name: Q, base_url: 'http://127.0.0.1:1/v1', big_model: wrong}]"  # fmt: skip
        async with gateway(file) as client:
            response, body = await client.ask(model="claude-via-x-opus")
            assert (response.status, provider.last.body["model"]) == (200, "x-opus"), body


async def test_every_get_has_its_head_and_nothing_else_is_allowed() -> None:
    async with gateway(FILE) as client:
        for path in ("/", "/health", "/v1/models", "/v1/models/fast", "/models/", "//v1//models"):
            async with client.session.head(client.url + path) as response:
                assert (response.status, await response.read()) == (200, b"")
            async with client.session.delete(client.url + path) as response:
                assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")
