"""The words of behaviours."""

import pytest

from portbroker.mock.behaviours import Behaviour, BehaviourError, behaviour_of, behaviour_of_model


@pytest.mark.parametrize(
    ("words", "act", "number", "delay"),
    [
        ("plain", "plain", 0, 0),
        ("fail-429", "fail", 429, 0),
        ("slow-2s", "plain", 0, 2),
        ("slow-300ms", "plain", 0, 0.3),
        ("slow-1.5s+fail-503", "fail", 503, 1.5),
        ("cut-after-3", "cut-after", 3, 0),
        ("error-in-stream", "error-in-stream", 0, 0),
    ],
)
def test_words_name_a_behaviour(words: str, act: str, number: int, delay: float) -> None:
    assert behaviour_of(words) == Behaviour(act, number, delay, words)


@pytest.mark.parametrize(
    "words",
    ["", "fail", "fail-200", "fail-N", "slow-", "slow-2", "slow-2s+", "slow-2s+x", "gpt-5", "cut-after-", "fail-4²9"],
)
def test_other_words_name_none(words: str) -> None:
    with pytest.raises(BehaviourError, match="is no behaviour; those are plain, fail-N"):
        behaviour_of(words)
    assert behaviour_of_model(words) is None


def test_the_name_of_a_model_may_end_in_a_behaviour() -> None:
    behaviour = behaviour_of_model("mock/fail-500")
    assert behaviour is not None
    assert (behaviour.act, behaviour.number) == ("fail", 500)
