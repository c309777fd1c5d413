"""Every provider's words for a prompt that does not fit, and the numbers in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.conversation import Json
from portbroker.dialects.overflow import is_overflow, read_overflow
from portbroker.errors import Overflow


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("prompt is too long: 215000 tokens > 200000 maximum", (215000, 200000, None)),
        (
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length",
            (188240, 200000, 21333),
        ),
        (
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130500 tokens.",
            (130500, 128000, None),
        ),
        (
            "This model's maximum context length is 4097 tokens. However, you requested 5000 tokens (1000 in the "
            "messages, 4000 in the completion). Please reduce the length of the messages or completion.",
            (1000, 4097, 4000),
        ),
        (
            "This model's maximum context length is 4097 tokens, however you requested 5062 tokens (904 in the messages"
            ", 158 in the functions, and 4000 in the completion).",
            (1062, 4097, 4000),
        ),
        (
            "This model's maximum context length is 65,536 tokens. However, you requested 70,000 tokens (66,000 in the "
            "messages, 4,000 in the completion).",
            (66000, 65536, None),
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 40000. This model's maximum context length is 32768 "
            "tokens and your request has 1000 input tokens (40000 > 32768 - 1000).",
            (1000, 32768, 40000),
        ),
        (
            "You passed 9000 input tokens and requested 100 output tokens. However, the model's context length is only "
            "8192 tokens.",
            (9000, 8192, None),
        ),
        (
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens "
            "(130000 of text input, 10000 in the output).",
            (130000, 131072, 10000),
        ),
        (
            "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of "
            "9000 tokens: 5000 tokens from the input messages and 4000 tokens for the completion.",
            (5000, 8192, 4000),
        ),
        ("The input (9000 tokens) is longer than the model's context length (8192 tokens).", (9000, 8192, None)),
        ("request (9000 tokens) exceeds the available context size (4096 tokens), try again", (9000, 4096, None)),
        (
            "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
            (1100000, 1048576, None),
        ),
        ("Range of input length should be [1, 129024]", (None, 129024, None)),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            (40000, 32768, None),
        ),
        ("prompt token count of 130000 exceeds the limit of 128000; context length", (130000, 128000, None)),
        (
            "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
            (140000, 131072, None),
        ),
        ("Invalid request: Your request exceeded model token limit: 8192", (None, 8192, None)),
        ("Your input exceeds the context window of this model. Please adjust your input.", (None, None, None)),
        ("Please reduce the length of the messages or completion.", (None, None, None)),
    ],
)
def test_the_numbers_are_read_from_the_message(
    message: str, numbers: tuple[int | None, int | None, int | None]
) -> None:
    assert is_overflow(message, (), 400)
    assert read_overflow(message, {}) == Overflow(*numbers)


def test_the_numbers_are_read_from_the_errors_own_fields() -> None:
    fields = {"n_prompt_tokens": 9000, "n_ctx": 4096}
    assert read_overflow("the request exceeds the available context size", fields) == Overflow(9000, 4096)


@pytest.mark.parametrize(
    "code",
    [
        "context_length_exceeded",
        "string_above_max_length",
        "model_max_prompt_tokens_exceeded",
        "exceed_context_size_error",
        "1261",
    ],
)
def test_a_code_says_it_without_words(code: str) -> None:
    assert is_overflow("", (code,), 429)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Too many tokens per minute", 400),
        ("Too many tokens, please wait", 429),
        ("you may not use the context window preview", 403),
        ("max_tokens must be positive", 400),
        ("Request too large for model on tokens per minute (TPM): Limit 6000, Requested 7000", 413),
    ],
)
def test_what_only_sounds_like_it_is_none(message: str, status: int) -> None:
    assert not is_overflow(message, (), status)


@given(
    st.text(),
    st.dictionaries(st.sampled_from(["n_ctx", "n_prompt_tokens"]), st.none() | st.text() | st.integers() | st.floats()),
)
def test_no_message_and_no_field_is_too_odd(message: str, fields: Json) -> None:
    numbers = read_overflow(message, fields)
    assert numbers.output is None or (numbers.tokens or 0) < (numbers.limit or 0)
