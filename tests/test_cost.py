"""What a call costs, to the nano-dollar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.config.model import Price
from portbroker.cost import Rates, Tokens, most_output, tokens_of

SONNET = Price(input=3, output=15, cached_input=0.3, cache_write=3.75)


def test_each_kind_of_token_has_its_price() -> None:
    usage = {
        "input_tokens": 1000, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 400,
        "output_tokens": 100, "output_tokens_details": {"thinking_tokens": 60},
    }  # fmt: skip
    tokens = tokens_of(usage)
    assert tokens == Tokens(input=3400, output=100, cached=2000, written=400, reasoning=60)
    # 1000 x 3 + 2000 x 0.3 + 400 x 3.75 + 100 x 15 dollars a million
    assert tokens.cost(Rates.of(SONNET)) == 6_600_000


def test_a_price_is_what_is_written_and_not_what_a_float_makes_of_it() -> None:
    assert Rates.of(Price(input=0.1, output=0.3)).input == 100_000_000
    assert Rates.of(Price(input=0.025, output=0)).input == 25_000_000


def test_cached_tokens_without_a_price_cost_what_others_do() -> None:
    rates = Rates.of(Price(input=2, output=10))
    assert rates.cost(0, 1_000_000, 1_000_000, 0) == 4_000_000_000
    assert rates.told == {"input": 2.0, "output": 10.0}


def test_without_a_price_nothing_is_counted() -> None:
    assert Tokens(input=1000, output=1000).cost(None) == 0
    assert tokens_of(None) == Tokens()


@pytest.mark.parametrize("broken", [-5, 1.5, "7", None, True, [1]])
def test_what_is_no_count_counts_for_nothing(broken: object) -> None:
    assert tokens_of({"input_tokens": broken, "output_tokens": 3}) == Tokens(output=3)


COUNTS = st.integers(0, 10_000_000)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_nothing_costs_more_than_the_worst(uncached: int, cached: int, written: int, output: int) -> None:
    rates = Rates.of(SONNET)
    assert rates.cost(uncached, cached, written, output) <= rates.worst(uncached + cached + written, output)


def test_the_output_that_a_call_may_come_to() -> None:
    assert most_output(500, 4000) == 500
    assert most_output(9000, 4000) == 4000
    assert most_output(None, 4000) == 4000
    assert most_output("many", None) == 32_000
    assert most_output(True, None) == 32_000
