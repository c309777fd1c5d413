"""Calls with API keys through the whole gateway: who may call what, and what is kept of it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from portbroker.keys import new_secret
from portbroker.store.ids import uuid7
from portbroker.store.records import AuditEntry, Budget, KeyLimits, Scopes
from tests.providers import answers, anthropic_stream, chat_answer, chat_chunk, chat_stream, serving, sse, streams
from tests.stateful import ASK, CHAT, config, keyed

KEYS = "auth: {calls: key}\n"
AUDIT = AuditEntry(uuid7(1), 1, "test", "key.changed", "key")


@pytest.mark.parametrize("path", ["/v1/messages", "/api/anthropic/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_key_is_taken_in_each_header_on_every_dialect(tmp_path: Path, path: str, header: str) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        _, secret = await gate.new_key()
        shown = f"Bearer {secret}" if header == "authorization" else secret
        assert (await gate.call(path=path, **{header.replace("-", "_"): shown})).status == 200
        assert secret not in str(provider.last.headers)


async def test_our_key_is_found_beside_somebody_elses(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        _, secret = await gate.new_key()
        assert (await gate.call("sk-ant-placeholder", authorization=f"bearer {secret}")).status == 200
        assert (await gate.call(secret, authorization="Bearer sk-placeholder")).status == 200


async def test_without_a_key_this_machine_may_call_and_a_placeholder_is_ignored(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        assert (await gate.call()).status == 200
        assert (await gate.call("sk-ant-anything")).status == 200
        assert (await gate.call(new_secret())).status == 401
        assert (await gate.call(host="evil.example")).status == 403
        _, secret = await gate.new_key()
        assert (await gate.call(secret, host="gateway.example")).status == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_refusal_is_in_the_clients_dialect(tmp_path: Path, path: str) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        answer = await gate.call(path=path)
        assert answer.status == 401
        assert "API key" in answer.error["message"]
        assert answer.error["type"] == ("authentication_error" if "messages" in path else "invalid_request_error")
        assert provider.seen == []


async def test_a_key_is_only_for_what_its_scopes_name(tmp_path: Path) -> None:
    async with (
        serving(answers(chat_answer())) as first,
        serving(answers(chat_answer())) as second,
        keyed(config(first.url, second.url), tmp_path) as gate,
    ):
        _, routes = await gate.new_key("routes", scopes=Scopes(routes=("/v1/chat/*",)))
        assert (await gate.call(routes)).status == 403
        assert (await gate.call(routes, "/v1/chat/completions")).status == 200
        _, models = await gate.new_key("models", scopes=Scopes(models=("claude-*",)))
        assert (await gate.call(models)).status == 200
        refused = await gate.call(models, "/v1/chat/completions")
        assert (refused.status, "'small'" in refused.error["message"]) == (403, True)
        assert (await gate.call(models, body={**ASK, "model": "P1/claude-x"})).status == 403
        _, providers = await gate.new_key("providers", scopes=Scopes(providers=("P2",)))
        assert (await gate.call(providers)).headers["x-portbroker-provider"] == "P2"
        _, none = await gate.new_key("none", scopes=Scopes(providers=("P3",)))
        assert (await gate.call(none)).status == 403


async def test_a_key_with_empty_scopes_is_for_nothing(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, secret = await gate.new_key(scopes=Scopes(models=()))
        assert (await gate.call(secret)).status == 403


async def test_a_revoked_key_is_out_within_two_seconds(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        key, secret = await gate.new_key()
        assert (await gate.call(secret)).status == 200
        await gate.state.store.update_key(replace(key, revoked_at=5), 1, AUDIT)
        async with asyncio.timeout(2):
            while (await gate.call(secret)).status == 200:
                await asyncio.sleep(0.02)
        assert "revoked" in (await gate.call(secret)).error["message"]


# limits


async def test_requests_beyond_the_limit_are_refused_in_the_clients_dialect(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, secret = await gate.new_key(limits=KeyLimits(requests_per_minute=2))
        good = await gate.call(secret)
        assert good.headers["anthropic-ratelimit-requests-limit"] == "2"
        assert good.headers["anthropic-ratelimit-requests-remaining"] == "1"
        assert good.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        chat = await gate.call(secret, "/v1/chat/completions")
        assert (chat.status, chat.headers["x-ratelimit-remaining-requests"]) == (200, "0")
        refused = await gate.call(secret)
        assert (refused.status, refused.error["type"]) == (429, "rate_limit_error")
        assert 1 <= int(refused.headers["retry-after"]) <= 61
        assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
        refused = await gate.call(secret, "/v1/chat/completions")
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["x-ratelimit-limit-requests"] == "2"
        assert len(provider.seen) == 2


async def test_tokens_are_counted_as_they_were_used(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, secret = await gate.new_key(limits=KeyLimits(tokens_per_minute=100))
        first = await gate.call(secret)
        assert int(first.headers["anthropic-ratelimit-tokens-remaining"]) < 100
        second = await gate.call(secret)  # by now the first has turned out to be 12 + 3 tokens
        estimated = 100 - int(first.headers["anthropic-ratelimit-tokens-remaining"])
        assert int(second.headers["anthropic-ratelimit-tokens-remaining"]) == 100 - 15 - estimated
        long = {**ASK, "messages": [{"role": "user", "content": "word " * 200}]}
        refused = await gate.call(secret, body=long)
        assert (refused.status, refused.headers["x-should-retry"]) == (429, "false")
        assert "no waiting will help" in refused.error["message"]


async def test_calls_at_a_time_are_bounded_and_a_place_is_free_when_its_client_leaves(tmp_path: Path) -> None:
    hanging = streams(sse(chat_chunk({"content": "a"})), then="hang")
    async with serving(hanging) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, secret = await gate.new_key(limits=KeyLimits(concurrent=1))
        first = asyncio.create_task(gate.call(secret, body={**ASK, "stream": True}))
        while not provider.seen:
            await asyncio.sleep(0.01)
        refused = await gate.call(secret)
        assert (refused.status, "1 calls at a time" in refused.error["message"]) == (429, True)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.wait_for(provider.disconnected.wait(), 5)
        provider.behave = answers(chat_answer())
        async with asyncio.timeout(5):
            while (await gate.call(secret)).status != 200:
                await asyncio.sleep(0.02)


async def test_a_hundred_at_once_get_no_more_than_the_minute_has(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, secret = await gate.new_key(limits=KeyLimits(requests_per_minute=30))
        answered = await asyncio.gather(*(gate.call(secret) for _ in range(100)))
        assert [answer.status for answer in answered].count(200) == 30
        assert len(provider.seen) == 30


async def test_limits_in_the_database_are_kept_too(tmp_path: Path) -> None:
    text = config("http://127.0.0.1:1", extra="limits: {backend: database}\n")
    async with serving(answers(chat_answer())) as provider, keyed(
        text.replace("http://127.0.0.1:1", provider.url), tmp_path
    ) as gate:  # fmt: skip
        _, secret = await gate.new_key(limits=KeyLimits(requests_per_minute=5, tokens_per_minute=100_000))
        answered = await asyncio.gather(*(gate.call(secret) for _ in range(20)))
        assert [answer.status for answer in answered].count(200) == 5
        assert int(next(a for a in answered if a.status == 429).headers["retry-after"]) >= 1


# budgets


async def test_a_budget_is_never_overspent_by_calls_at_once(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        # A call costs 12 x 1 + 3 x 2 = 18 millionths of a dollar, and may cost a hundred and some.
        key, secret = await gate.new_key(budget=Budget(1_000_000, "total"))
        spent = 0
        for _ in range(10):
            answered = await asyncio.gather(*(gate.call(secret) for _ in range(20)))
            good = [answer.status for answer in answered].count(200)
            spent += good * 18_000
        refused = [answer for answer in answered if answer.status != 200]
        assert spent <= 1_000_000
        assert all(answer.status == 402 for answer in refused)
        assert "$0.001" in refused[0].error["message"]
        assert (await gate.state.store.spending(key.id, "total")).spent_nano <= 1_000_000


async def test_what_was_held_back_is_given_back_when_the_call_is_over(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        key, secret = await gate.new_key(budget=Budget(1_000_000_000, "month"))
        assert (await gate.call(secret)).status == 200
        (row,) = await gate.rows(1)
        spending = await gate.state.store.spending(key.id, row.period)
        assert (spending.spent_nano, spending.reserved_nano) == (18_000, 0)
        assert len(row.period) == 7
        assert row.price == {"input": 1.0, "output": 2.0}


async def test_a_model_without_a_price_is_not_for_a_key_with_a_budget(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, secret = await gate.new_key(budget=Budget(1_000_000_000, "day"))
        refused = await gate.call(secret, "/v1/chat/completions", {**CHAT, "model": "free"})
        assert (refused.status, "catalog" in refused.error["message"]) == (403, True)
        assert provider.seen == []
        (row,) = await gate.rows(1)
        assert (row.outcome, row.cost_nano) == ("permission", 0)


# usage


async def test_a_call_is_one_row_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    async with (
        serving(answers({"error": {"message": "down"}}, status=500)) as first,
        serving(answers(chat_answer())) as second,
        keyed(config(first.url, second.url, extra="retry: {same_target: 0}\n"), tmp_path) as gate,
    ):
        key, secret = await gate.new_key(tags=("a", "b"))
        answer = await gate.call(secret, user_agent="claude-cli/2.1 (external)")
        (row,) = await gate.rows(1)
        assert (row.key_id, row.caller, row.client, row.tags) == (key.id, "team", "claude-cli/2.1", ("a", "b"))
        assert (row.route, row.dialect) == ("/v1/messages", "anthropic.messages")
        assert (row.model, row.provider, row.upstream_model) == ("claude-haiku-4-5", "P2", "small")
        assert [(a.provider, a.outcome, a.status) for a in row.attempts] == [("P1", "api", 500), ("P2", "ok", 0)]
        assert (row.input_tokens, row.output_tokens, row.cost_nano, row.estimated) == (12, 3, 18_000, False)
        assert row.revision == answer.headers["x-portbroker-revision"]
        assert (row.status, row.outcome, row.partial, row.stream) == (200, "ok", False, False)
        assert row.latency_us > 0
        assert row.first_token_us is None


async def test_a_stream_is_one_row_with_its_time_to_first_token(tmp_path: Path) -> None:
    async with serving(streams(chat_stream("Hel", "lo"))) as provider, keyed(config(provider.url), tmp_path) as gate:
        await gate.call(body={**ASK, "stream": True})
        (row,) = await gate.rows(1)
        assert (row.caller, row.stream, row.outcome, row.input_tokens, row.output_tokens) == (
            "local",
            True,
            "ok",
            12,
            3,
        )
        assert 0 < (row.first_token_us or 0) <= row.latency_us


async def test_a_stream_that_breaks_is_a_partial_row_with_its_tokens_so_far(tmp_path: Path) -> None:
    cut = streams(anthropic_stream("Hi").partition(b"event: message_delta")[0], then="cut")
    text = config("URL").replace("provider_type: custom", "provider_type: anthropic")
    async with serving(cut) as provider, keyed(text.replace("URL", provider.url), tmp_path) as gate:
        await gate.call(body={**ASK, "stream": True})
        (row,) = await gate.rows(1)
        assert (row.partial, row.input_tokens, row.status) == (True, 12, 200)
        assert row.outcome not in ("ok", "cancelled")


async def test_a_client_that_leaves_is_a_cancelled_row(tmp_path: Path) -> None:
    hanging = streams(sse(chat_chunk({"content": "a"})), then="hang")
    async with serving(hanging) as provider, keyed(config(provider.url), tmp_path) as gate:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{gate.url}/v1/messages", json={**ASK, "stream": True}) as response:
                await response.content.readany()
        (row,) = await gate.rows(1)
        assert (row.outcome, row.partial) == ("cancelled", True)


async def test_a_call_that_nobody_serves_is_a_row_and_one_without_a_caller_is_none(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        await gate.call(new_secret())
        await gate.call(body={**ASK, "model": "nobody\x00's \u202e" + "x" * 500})
        (row,) = await gate.rows(1)
        assert (row.outcome, row.status, row.provider, row.attempts) == ("not_found", 404, "", ())
        assert row.model.startswith("nobody?'s ?x")
        assert len(row.model) == 200


async def test_a_row_is_on_disk_before_the_last_byte_goes_out(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        gate.state.recorder.start = lambda: None  # type: ignore[method-assign]
        spool = gate.state.recorder.spool
        before = spool.counts.spooled
        for number in range(5):
            await gate.call()
            assert spool.counts.spooled == before + number + 1


async def test_rows_of_before_an_end_are_there_after_it(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider:
        async with keyed(config(provider.url), tmp_path) as gate:
            await asyncio.gather(*(gate.call() for _ in range(40)))
        async with keyed(config(provider.url), tmp_path) as gate:
            assert len(await gate.rows(40)) == 40


async def test_the_key_decides_where_a_model_rule_leads(tmp_path: Path) -> None:
    rule = (
        "models:\n  - {match: 'claude-*', when: {key: {glob: 'batch-*'}}, targets: [{provider: P1, model: m-batch}]}\n"
    )
    async with serving(answers(chat_answer())) as provider:
        text = config(provider.url, extra=rule + "  - {match: 'claude-*', tier: small}\n")
        async with keyed(text, tmp_path) as gate:
            _, batch = await gate.new_key("batch-nightly")
            _, other = await gate.new_key("other")
            assert (await gate.call(batch)).headers["x-portbroker-model"] == "m-batch"
            assert (await gate.call(other)).headers["x-portbroker-model"] == "small"
            assert (await gate.call()).headers["x-portbroker-model"] == "small"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_key_that_nobody_can_look_up_is_503_and_never_401(tmp_path: Path, path: str) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        _, known = await gate.new_key()
        assert (await gate.call(known, path)).status == 200
        await gate.state.store.close()
        (tmp_path / "portbroker.db").unlink()
        (tmp_path / "portbroker.db").mkdir()  # so that nothing can be opened there
        unknown = await gate.call(new_secret(), path)
        assert (unknown.status, int(unknown.headers["retry-after"]) >= 1) == (503, True)
        assert (await gate.call(known, path)).status == 200


async def test_without_the_database_keys_with_a_budget_are_refused_unless_the_file_says_otherwise(
    tmp_path: Path,
) -> None:
    for word, status in (("deny", 503), ("allow", 200)):
        place = tmp_path / word
        place.mkdir()
        text = f"database: {{on_down: {{budgets: {word}}}}}\n"
        async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=text), place) as gate:
            _, secret = await gate.new_key(budget=Budget(1_000_000_000, "day"))
            assert (await gate.call(secret)).status == 200
            await gate.state.store.close()
            (place / "portbroker.db").unlink()
            (place / "portbroker.db").mkdir()
            assert (await gate.call(secret)).status == status
