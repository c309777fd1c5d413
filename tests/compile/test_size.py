"""A file of five hundred providers and five thousand rules: read and compiled within a breath, resolved in no time.

The bounds are generous, for machines that do other things; the figures in the comments are of one that does not.
"""

import time
import timeit
from pathlib import Path

import pytest

from portbroker.compile import compile_snapshot
from portbroker.config.load import Loaded, load_text
from tests.calls import asking

PROVIDERS, RULES = 500, 5000


def large() -> str:
    lines = ["providers:"]
    for number in range(PROVIDERS):
        lines.append(f"  - {{name: P{number}, base_url: 'http://10.0.{number // 250}.{number % 250}:9/v1', api_key: k, "
                     f"small_model: s{number}, models: ['own-{number}'], priority: {number}}}")  # fmt: skip
    lines.append("models:")
    lines.append("  - {match: 'name-4998', when: {thinking: true}, targets: [{provider: P1, model: thought}]}")
    for number in range(RULES):
        kind = f"glob-{number}-*" if number % 2 else f"name-{number}"
        lines.append(f"  - {{match: '{kind}', targets: [{{provider: P{number % PROVIDERS}, model: m{number}}}, "
                     f"{{provider: P{(number + 1) % PROVIDERS}, model: m{number}}}]}}")  # fmt: skip
    return "\n".join(lines) + "\n"


def loaded() -> Loaded:
    return load_text(large().encode(), file="f.yaml", directory=Path("/nonexistent"), environ={})


def test_a_large_file_compiles_in_less_than_a_second() -> None:
    whole = loaded()
    seconds = []
    for _ in range(3):
        began = time.process_time()
        compile_snapshot(whole)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 2  # 0.3


@pytest.mark.parametrize("model", ["name-0", "name-4998", "glob-4999-x", "own-499", "P499/anything"])
def test_a_model_is_resolved_in_microseconds(model: str) -> None:
    snapshot = compile_snapshot(loaded())
    facts = asking(model)
    snapshot.resolve(facts)  # the first time, it is found; from then on it is known
    number = 2000
    seconds = min(timeit.repeat(lambda: snapshot.resolve(facts), number=number, repeat=5)) / number
    assert seconds < 25e-6  # 0.2
