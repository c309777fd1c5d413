"""What a long run says of memory."""

import pytest

from bench.soak import GROWTH, growth


def test_the_first_minute_does_not_count_and_one_outlier_says_nothing() -> None:
    seen = [20.0] * 60 + [50.0] * 60 + [70.0] * 60 + [50.0] * 59 + [90.0]
    assert growth(seen) == 1.0


@pytest.mark.parametrize("leak", [0.05, 1.0])
def test_memory_that_grows_is_seen(leak: float) -> None:
    assert growth([50 + leak * second for second in range(600)]) > GROWTH
