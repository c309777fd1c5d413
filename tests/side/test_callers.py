"""What a key may see beside its calls: its own responses, and the models that it is for."""

from pathlib import Path

from portbroker.store.records import Budget, KeyLimits, Scopes
from tests.providers import answers, chat_answer, serving
from tests.stateful import config, keyed

RESPONSES = "/v1/responses"


async def test_a_response_is_for_the_key_that_asked_for_it_alone(tmp_path: Path) -> None:
    async with serving(answers(chat_answer("Hi"))) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, mine = await gate.new_key("mine")
        _, theirs = await gate.new_key("theirs")
        made = (await gate.call(mine, RESPONSES, {"model": "small", "input": "secret"})).body["id"]
        for key in (theirs, ""):
            headers = {"x_api_key": key} if key else {}
            for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
                answer = await gate.ask(method, f"{RESPONSES}/{made}{path}", **headers)
                assert (answer.status, "secret" in answer.raw.decode()) == (404, False), (method, path)
            answer = await gate.call(key, RESPONSES, {"model": "small", "input": "x", "previous_response_id": made})
            assert (answer.status, answer.error["code"]) == (400, "previous_response_not_found")
        assert len(provider.seen) == 1
        assert (await gate.ask("GET", f"{RESPONSES}/{made}", x_api_key=mine)).body["id"] == made
        more = {"model": "small", "input": "x", "previous_response_id": made}
        assert (await gate.call(mine, RESPONSES, more)).status == 200
        assert "secret" in str(provider.last.body)


async def test_with_a_key_an_unknown_response_is_not_asked_of_the_provider(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider:
        file = config(provider.url).replace("api_key", "translation: {dialect: openai.responses}, api_key")
        async with keyed(file, tmp_path) as gate:
            _, key = await gate.new_key()
            asked = {"model": "small", "input": "x", "previous_response_id": "resp_of_somebody_else"}
            assert (await gate.call(key, RESPONSES, asked)).status == 400
            assert provider.seen == []


async def test_a_key_sees_the_models_that_it_is_for(tmp_path: Path) -> None:
    async with keyed(config("http://127.0.0.1:1"), tmp_path) as gate:
        _, key = await gate.new_key(scopes=Scopes(models=("free",)))
        listed = (await gate.ask("GET", "/v1/models", x_api_key=key, anthropic_version="2023-06-01")).body
        assert [model["id"] for model in listed["data"]] == ["free", "claude-via-free"]
        listed = (await gate.ask("GET", "/v1/models", authorization=f"Bearer {key}")).body
        assert [model["id"] for model in listed["data"]] == ["free"]
        for name, status in (("free", 200), ("claude-via-free", 200), ("small", 403), ("claude-via-small", 403)):
            assert (await gate.ask("GET", f"/v1/models/{name}", x_api_key=key)).status == status, name


async def test_an_alias_opens_no_model_that_its_name_does_not(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, key = await gate.new_key(scopes=Scopes(models=("claude-*",)))
        assert (await gate.call(key, body={"model": "claude-via-small", "max_tokens": 9, "messages": []})).status == 403
        assert provider.seen == []


async def test_no_spelling_of_a_path_goes_around_a_scope(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, key = await gate.new_key(scopes=Scopes(routes=("/v1/chat/*",)))
        for path in ("/v1/messages", "/messages", "//v1/messages", "/v1/v1/messages", "/v1/messages/", "/embeddings"):
            assert (await gate.call(key, path)).status == 403, path
        assert (await gate.call(key, "/chat/completions")).status == 200
        assert len(provider.seen) == 1


async def test_a_key_that_has_reached_its_limit_is_not_counted_for(tmp_path: Path) -> None:
    async with keyed(config("http://127.0.0.1:1"), tmp_path) as gate:
        _, key = await gate.new_key(limits=KeyLimits(requests_per_minute=1))
        assert (await gate.call(key, "/v1/messages/count_tokens")).status == 200
        assert (await gate.call(key, "/v1/messages/count_tokens")).status == 429


async def test_to_count_tokens_takes_nothing_from_a_budget(tmp_path: Path) -> None:
    async with keyed(config("http://127.0.0.1:1"), tmp_path) as gate:
        _, key = await gate.new_key(budget=Budget(1, "day"))
        for path in ("/v1/messages/count_tokens", "/v1/responses/input_tokens"):
            answer = await gate.call(key, path, {"model": "small", "messages": [], "input": "x"})
            assert (answer.status, answer.headers["x-portbroker-usage"]) == (200, "estimated"), answer.raw


async def test_tokens_are_counted_for_a_key_that_may_call(tmp_path: Path) -> None:
    async with keyed(config("http://127.0.0.1:1"), tmp_path) as gate:
        _, key = await gate.new_key(scopes=Scopes(routes=("/v1/messages",)))
        assert (await gate.call(key, "/v1/messages/count_tokens")).body["input_tokens"] > 0
        assert (await gate.call(key, "/v1/embeddings")).status == 403
