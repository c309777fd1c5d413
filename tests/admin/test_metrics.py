"""`GET /metrics`: Prometheus reads it, labels stay bounded, and only those may look who should."""

import asyncio
import timeit
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portbroker.metrics import Counts, Meter
from portbroker.metrics.counts import MOST_REVISIONS, MOST_SERIES
from portbroker.metrics.tally import LONGEST, Tally
from portbroker.usage import AttemptRecord, Exchange
from tests.admin.calls import Admin, admin_of, admin_of_file
from tests.providers import answers, chat_answer, chat_stream, serving, streams

CALL = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(page: str) -> Series:
    """The page as Prometheus understands it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


async def scraped(admin: Admin, **headers: str) -> Series:
    answer = await admin.signed_out().get("/metrics", **headers)
    assert answer.status == 200, answer.raw
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return read(answer.raw.decode())


def one(series: Series, name: str, **labels: str) -> float:
    return series[name, tuple(sorted(labels.items()))]


def file_for(url: str) -> str:
    return f"providers:\n  - {{name: P, base_url: '{url}/v1', api_key: k, models: [m]}}\nretry: {{attempts: 1}}\n"


async def test_calls_tokens_attempts_and_times_are_counted() -> None:
    async with serving(answers(chat_answer("hi"))) as provider, admin_of(file_for(provider.url)) as admin:
        for _ in range(3):
            assert (await admin.post("/v1/messages", CALL)).status == 200
        provider.behave = streams(chat_stream("a", "b"))
        assert (await admin.post("/v1/messages", {**CALL, "stream": True})).status == 200
        provider.behave = answers({"error": {"message": "no"}}, status=500)
        assert (await admin.post("/v1/messages", CALL)).status == 500
        assert (await admin.post("/v1/messages", {**CALL, "model": "unheard-of"})).status == 404
        series = await scraped(admin)
    route = {"route": "/v1/messages"}
    assert one(series, "portbroker_requests_total", **route, status="200") == 4
    assert one(series, "portbroker_requests_total", **route, status="500") == 1
    assert one(series, "portbroker_requests_total", **route, status="404") == 1
    assert one(series, "portbroker_request_seconds_count", **route, status="200") == 4
    assert one(series, "portbroker_request_seconds_bucket", **route, status="200", le="+Inf") == 4
    assert one(series, "portbroker_attempts_total", provider="P", model="m", outcome="ok") == 4
    assert one(series, "portbroker_attempts_total", provider="P", model="m", outcome="api") == 1
    assert one(series, "portbroker_tokens_total", provider="P", model="m", kind="input") > 0
    assert one(series, "portbroker_tokens_total", provider="P", model="m", kind="output") > 0
    assert one(series, "portbroker_first_token_seconds_count", provider="P", model="m") == 1  # the stream
    (revision,) = [dict(labels)["revision"] for name, labels in series if name == "portbroker_config_info"]
    assert one(series, "portbroker_revision_calls_total", revision=revision) == 6
    assert one(series, "portbroker_revision_failed_calls_total", revision=revision) == 2


async def test_the_state_of_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "portbroker.yaml"
    path.write_text("providers: []\n")
    async with admin_of_file(path) as admin:
        series = await scraped(admin)
        assert one(series, "portbroker_config_last_reload_successful") == 1
        assert one(series, "portbroker_config_in_sync") == 1
        good_at = one(series, "portbroker_config_last_reload_success_timestamp_seconds")
        path.write_text("providers: [")
        await admin.post("/admin/config/reload")
        series = await scraped(admin)
        assert one(series, "portbroker_config_last_reload_successful") == 0
        assert one(series, "portbroker_config_in_sync") == 0
        assert one(series, "portbroker_config_last_reload_success_timestamp_seconds") == pytest.approx(good_at, abs=2)


async def test_paths_and_models_that_clients_make_up_are_no_series() -> None:
    async with admin_of(file_for("http://127.0.0.1:9")) as admin:
        for number in range(20):
            await admin.signed_out().get(f"/made/up/{number}")
            await admin.post("/v1/messages", {**CALL, "model": f"made-up-{number}"})
        series = await scraped(admin)
    assert one(series, "portbroker_requests_total", route="other", status="404") == 20
    assert not [labels for _, labels in series if "made" in str(labels)]


async def test_only_this_machine_and_admins_may_look() -> None:
    async with admin_of() as admin:
        nobody = admin.signed_out()
        for headers in ({"host": "gateway.example.com"}, {"x_forwarded_for": "192.0.2.1"}, {"origin": "http://evil.example"},
                        {"forwarded": "for=192.0.2.1"}):  # fmt: skip
            assert (await nobody.get("/metrics", **headers)).status == 401
            assert (await admin.get("/metrics", **headers)).status == 200
        assert (await nobody.ask("POST", "/metrics")).status == 401
        assert (await admin.ask("POST", "/metrics")).status == 405


async def test_open_metrics_is_given_to_those_who_ask_for_it() -> None:
    async with admin_of() as admin:
        answer = await admin.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.raw.endswith(b"# EOF\n")


# counting


def exchange(model: str = "m", provider: str = "P") -> Exchange:
    made = Exchange("POST", "/v1/messages", "r")
    made.model, made.status, made.attempts = model, 200, [AttemptRecord(provider, model)]
    made.usage = {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2,
                  "output_tokens_details": {"thinking_tokens": 1}}  # fmt: skip
    made.first_content = made.began + 0.2
    return made


def test_what_caches_knew_is_input_too() -> None:
    meter = Meter()
    meter.record(exchange(), routed=True)
    assert meter.take().answers["P", "m"][:5] == [10, 7, 3, 2, 1]


@pytest.mark.parametrize("count", ["many", -5, None, True, 1 << 60, 1.5, []])
def test_what_is_no_count_is_not_counted(count: object) -> None:
    meter, made = Meter(), exchange()
    made.usage = {"input_tokens": count, "output_tokens": 7, "output_tokens_details": count}
    meter.record(made, routed=True)
    assert meter.take().answers["P", "m"][:5] == [0, 7, 0, 0, 0]


def test_counting_a_call_takes_less_than_a_few_microseconds() -> None:
    meter, made = Meter(), exchange()
    number = 20_000
    seconds = min(timeit.repeat(lambda: meter.record(made, routed=True), number=number, repeat=5)) / number
    assert seconds < 10e-6  # 1.2 on a machine that does nothing else


def test_series_are_bounded_whatever_names_there_are() -> None:
    meter = Meter()
    for number in range(MOST_SERIES + 50):
        meter.record(exchange(f"m{number}"), routed=True)
    counts = meter.take()
    assert len(counts.answers) == len(counts.attempts) == MOST_SERIES + 1
    assert counts.attempts["other", "other", "ok"] == [50]
    assert counts.answers["other", "other"][0] == 500


def test_of_many_revisions_the_last_are_told() -> None:
    meter = Meter()
    for number in range(MOST_REVISIONS + 3):
        made = exchange()
        made.revision = f"r{number}"
        meter.record(made, routed=True)
    counts = meter.take()
    assert len(counts.revisions) == MOST_REVISIONS
    assert ("r2",) not in counts.revisions
    assert counts.revisions[f"r{MOST_REVISIONS + 2}",] == [1, 0]


def test_counts_survive_the_way_to_another_process_and_add_up() -> None:
    meter, total = Meter(), Counts()
    for _ in range(2):
        meter.record(exchange(), routed=True)
        total.merge(Counts.of(meter.take().record()))
    assert not meter.take()
    assert total.attempts["P", "m", "ok"] == [2]
    assert total.calls["/v1/messages", 200][0] == 2


def test_a_tally_knows_the_last_hour_by_revision() -> None:
    now = 1000.0
    tally = Tally(clock=lambda: now)
    tally.add("a", 10, 1)
    now += 30
    tally.add("a", 5, 5)
    tally.add("b", 1, 0)
    assert tally.since("a", 10) == (5, 5)
    assert tally.since("a", 60) == (15, 6)
    assert tally.since("b", 60) == (1, 0)
    now += LONGEST + 1
    tally.add("b", 1, 1)
    assert tally.since("a", LONGEST * 2) == (0, 0)


async def test_nothing_is_lost_between_two_scrapes() -> None:
    async with serving(answers(chat_answer("hi"))) as provider, admin_of(file_for(provider.url)) as admin:
        for number in range(1, 4):
            await asyncio.gather(*(admin.post("/v1/messages", CALL) for _ in range(5)))
            series = await scraped(admin)
            assert one(series, "portbroker_requests_total", route="/v1/messages", status="200") == 5 * number
