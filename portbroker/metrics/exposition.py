"""What was counted, in the text format of Prometheus. Imports prometheus_client: only for a scrape.

The one rule: series have the words of the file and of the design, and no label that a client could choose without end.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from portbroker import __version__
from portbroker.metrics.counts import SECONDS, TOKENS, Counts
from portbroker.status import Status

Gauges = Iterable[tuple[str, str, float]]
"""More numbers: a name without its prefix, what it says, and the number."""


def exposition(counts: Counts, status: Status, gauges: Gauges, accept: str) -> tuple[bytes, str]:
    """The page, and its content type, in the format that the scraper prefers."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(counts, status, gauges))
    return encode(registry), content_type


class _Collector:
    def __init__(self, counts: Counts, status: Status, gauges: Gauges) -> None:
        self._counts = counts
        self._status = status
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        yield from _of_calls(self._counts)
        yield from _of_answers(self._counts)
        yield from _of_configuration(self._status)
        for name, says, value in self._gauges:
            yield GaugeMetricFamily(f"portbroker_{name}", says, value=value)


def _of_calls(counts: Counts) -> Iterator[Metric]:
    requests = CounterMetricFamily("portbroker_requests", "Requests that were answered.", labels=["route", "status"])
    latency = HistogramMetricFamily(
        "portbroker_request_seconds", "From the head of a request to the end of its answer.", labels=["route", "status"]
    )
    for key, numbers in counts.calls.items():
        words = [str(word) for word in key]
        requests.add_metric(words, numbers[0])
        _add(latency, words, numbers)
    attempts = CounterMetricFamily(
        "portbroker_attempts", "Tries on targets, by how they ended.", labels=["provider", "model", "outcome"]
    )
    for key, (number,) in counts.attempts.items():
        attempts.add_metric([str(word) for word in key], number)
    calls = CounterMetricFamily("portbroker_revision_calls", "Calls to models, by revision.", labels=["revision"])
    failed = CounterMetricFamily(
        "portbroker_revision_failed_calls", "Those of them that failed, and not by the caller's fault.",
        labels=["revision"],
    )  # fmt: skip
    for key, (number, bad) in counts.revisions.items():
        calls.add_metric([str(key[0])], number)
        failed.add_metric([str(key[0])], bad)
    yield from (requests, latency, attempts, calls, failed)


def _of_answers(counts: Counts) -> Iterator[Metric]:
    tokens = CounterMetricFamily(
        "portbroker_tokens", "Tokens; those of caches and of reasoning are among input and output.",
        labels=["provider", "model", "kind"],
    )  # fmt: skip
    first = HistogramMetricFamily(
        "portbroker_first_token_seconds", "From the head of a request to the first content of its answer.",
        labels=["provider", "model"],
    )  # fmt: skip
    for key, numbers in counts.answers.items():
        words = [str(word) for word in key]
        for kind, number in zip(TOKENS, numbers, strict=False):
            tokens.add_metric([*words, kind], number)
        _add(first, words, numbers[len(TOKENS) :])
    yield from (tokens, first)


def _add(family: HistogramMetricFamily, words: list[str], numbers: list[float]) -> None:
    ends = [*(repr(end) for end in SECONDS), "+Inf"]
    buckets = list(zip(ends, accumulate(numbers[2:]), strict=True))
    family.add_metric(words, buckets, sum_value=numbers[1])


def _of_configuration(status: Status) -> Iterator[Metric]:
    last = status.last
    yield InfoMetricFamily("portbroker_build", "Which PortBroker this is.", {"version": __version__})
    yield InfoMetricFamily("portbroker_config", "The revision that new calls meet.", {"revision": status.revision})
    told: tuple[tuple[str, str, float], ...] = (
        ("last_reload_successful", "Whether the last reload went well.", float(last is None or last.succeeded)),
        ("last_reload_success_timestamp_seconds", "When a reload went well last.", status.good_at),
        ("loaded_timestamp_seconds", "Since when the revision is served.", status.loaded_at),
        ("in_sync", "Whether the file has the revision that is served.", float(status.told()["in_sync"])),
        ("on_trial", "Whether the revision is guarded, and not proved yet.", float(status.guarded_until is not None)),
        ("returned", "Whether the file has a revision that was returned from.", float(status.returned is not None)),
    )
    for name, says, value in told:
        yield GaugeMetricFamily(f"portbroker_config_{name}", says, value=value)
    yield CounterMetricFamily("portbroker_config_returns", "Revisions that were returned from.", value=status.returns)
