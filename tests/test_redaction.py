"""No key is shown, words are."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.redaction import fit, gist, is_html, redact

KEYS = [
    "sk-proj-abcDEF1234567890abcdef",
    "sk-ant-api03-AAAA_BBBB-cccc1234567890",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "gsk_A1b2C3d4E5f6G7h8I9j0",
    "AIzaSyD-1234567890abcdefghijklmnop",
    "xai-abcdefghijklmnop1234",
    "pplx-0123456789abcdef",
    "hf_abcdefghijklmnop",
    "nvapi-abcdefgh12345678",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "0123456789abcdef0123456789abcdef",
    "f3c0e5a8d1b24e6f9a7c8b6d5e4f3a2b.Xk29sLq0TzWn8",
    "sk-ab**********wxyz",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
]

KEPT = [
    "This model's maximum context length is 128000 tokens, you requested tokens: 140000.",
    "max_tokens: 40000 > 8192, which is the maximum allowed number of output tokens for claude-opus-4-1-20250805",
    "messages.3.content.0.tool_use.id: toolu_01A09q90qw90lq917835lq9 was not found",
    "The model `gpt-5.2-2025-12-11` does not exist or you do not have access to it.",
    "Invalid schema for function 'get_weather': In context=('properties', 'city'), 'type' is missing",
    "Request 6f1c2d3e-aaaa-bbbb-cccc-1234567890ab failed",
    "POST /v1/chat/completions/with/a/rather/long/path/that/exists is not allowed",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "text", ["{}", "Incorrect API key provided: {}.", "bad key '{}' in header", "x={}&y=1", "({})"]
)
def test_what_looks_like_a_key_goes(key: str, text: str) -> None:
    shown = redact(text.format(key))
    assert key not in shown
    assert key[8:] not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize(
    "text",
    ["Authorization: Bearer hunter2hunter2", '{"api_key": "opensesame"}', "?key=opensesame", "password=opensesame"],
)
def test_a_credential_goes_by_the_word_before_it(text: str) -> None:
    shown = redact(text)
    assert "opensesame" not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("text", KEPT)
def test_what_a_person_needs_stays(text: str) -> None:
    assert redact(text) == text


def test_a_known_secret_goes_whatever_it_looks_like_but_a_placeholder_is_a_word() -> None:
    assert redact("the token open-sesame is wrong, none of it fits", ["open-sesame", "none"]) == (
        "the token [redacted] is wrong, none of it fits"
    )


def test_a_text_is_cut_at_two_kibibytes_of_utf8() -> None:
    shown = fit("ä " * 3000)
    assert len(shown.encode()) <= 2048
    assert shown.endswith("...")


def test_a_key_at_the_cut_is_not_halved() -> None:
    for pad in range(2020, 2060):
        assert "sk-" not in fit("x" * pad + " sk-proj-abcDEF1234567890abcdef")
        assert "sk-" not in fit("y " * (pad // 2 + 1020) + "sk-proj-abcDEF1234567890abcdef" * 9)


@given(st.text())
def test_any_text_comes_out_printable_and_encodable(text: str) -> None:
    shown = fit(text)
    assert len(shown.encode()) <= 2048
    assert not any(ord(c) < 32 and c not in "\t\n" for c in shown)


def test_a_page_is_told_by_its_title_or_by_what_one_would_see_of_it() -> None:
    assert gist("<html><head><title>502  Bad\nGateway</title></head><body>nginx</body></html>") == "502 Bad Gateway"
    assert gist("<html><style>p {x: y}</style><!-- no --><body><p>Try <b>later</b></p>") == "Try later"
    assert gist("upstream connect error") == "upstream connect error"
    assert gist("w " * 300) == ("w " * 60).strip()
    assert gist("<title>token sk-proj-abcDEF1234567890abcdef</title>") == "token [redacted]"
    assert is_html("  <!DOCTYPE html>")
    assert not is_html("expected <int> here")


@pytest.mark.parametrize(
    "text", ["<" * 60000, "<script" * 9000, "a/" * 30000, "a-" * 30000, "A1/" * 20000, "key: " * 12000, "*" * 60000]
)
def test_a_hostile_text_costs_little(text: str) -> None:
    began = time.process_time()
    fit(text)
    gist(text)
    assert time.process_time() - began < 1.0
