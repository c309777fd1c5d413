"""What travels, and what stays where it came from."""

import pytest
from multidict import CIMultiDict

from portbroker.headers import (
    ANTHROPIC_VERSION,
    HOP_BY_HOP,
    answer_headers,
    caller_auth,
    client_credential,
    end_to_end,
    fixed_headers,
    fold,
    passthrough_headers,
    telling_headers,
)

ANTHROPIC = fixed_headers("anthropic.messages", {"x-api-key": "sk-ant-up"})
CHAT = fixed_headers("openai.chat", {"Authorization": "Bearer sk-up"})

CLAUDE_CODE = fold([
    ("Host", "localhost"), ("X-Api-Key", "pb"), ("Authorization", "Bearer sk-ant-oat01-xyz"), ("Cookie", "a=b"),
    ("Anthropic-Version", "2026-10-21"), ("Anthropic-Beta", "one,two"), ("Anthropic-Beta", " three ,one"),
    ("anthropic-dangerous-direct-browser-access", "true"), ("X-Stainless-Lang", "js"), ("X-App", "cli"),
    ("X-Claude-Code-Session-Id", "s"), ("User-Agent", "claude-cli"), ("Accept-Encoding", "gzip, br"),
    ("Connection", "keep-alive"), ("Content-Length", "7"), ("OpenAI-Organization", "org"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"x-api-key": "a", "authorization": "Bearer b", "api-key": "c"}, "a"),
        ({"authorization": "Bearer b", "api-key": "c"}, "b"),
        ({"authorization": "bearer  b "}, "b"),
        ({"authorization": "Basic b", "api-key": "c"}, "c"),
        ({"x-api-key": " ", "authorization": "Bearer", "api-key": "c"}, "c"),
        ({"x-goog-api-key": "d", "cookie": "e"}, None),
        ({}, None),
    ],
)
def test_a_callers_key_is_the_first_of_three_headers_that_holds_one(headers: dict[str, str], key: str | None) -> None:
    assert client_credential(headers) == key
    assert client_credential(CIMultiDict({name.title(): value for name, value in headers.items()})) == key


def test_a_request_carries_the_providers_credential_and_nothing_of_the_clients() -> None:
    assert set(CHAT) == {"content-type", "accept", "accept-encoding", "user-agent", "authorization"}
    assert CHAT["authorization"] == "Bearer sk-up"
    assert CHAT["accept-encoding"] == "identity"
    assert set(ANTHROPIC) == {
        "content-type", "accept", "accept-encoding", "user-agent", "x-api-key", "anthropic-version",
    }  # fmt: skip
    assert ANTHROPIC["anthropic-version"] == "2023-06-01"


def test_the_file_adds_and_leaves_out_but_never_what_frames_a_message() -> None:
    extra = {"X-Title": "t", "User-Agent": "mine", "Transfer-Encoding": "chunked", "Host": "evil", "TE": "1"}
    headers = fixed_headers("openai.chat", {}, extra, drop=["Accept"])
    assert headers["x-title"] == "t"
    assert headers["user-agent"] == "mine"
    assert not {"transfer-encoding", "host", "te", "accept"} & set(headers)


def test_the_credential_is_not_overridden_by_the_files_headers() -> None:
    assert fixed_headers("openai.chat", {"authorization": "Bearer real"}, {"Authorization": "no"})["authorization"] == (
        "Bearer real"
    )


def test_passing_to_anthropic_takes_version_and_betas_from_the_client_and_nothing_else() -> None:
    headers = passthrough_headers(ANTHROPIC, CLAUDE_CODE)
    assert headers == {**ANTHROPIC, "anthropic-version": "2026-10-21", "anthropic-beta": "one,two,three"}
    assert passthrough_headers(ANTHROPIC, {})["anthropic-version"] == ANTHROPIC_VERSION
    assert "anthropic-beta" not in passthrough_headers(ANTHROPIC, {})


def test_betas_are_filtered_by_what_the_provider_takes_and_joined_with_the_files() -> None:
    fixed = fixed_headers("anthropic.messages", {}, {"anthropic-beta": "own"})
    assert passthrough_headers(fixed, CLAUDE_CODE, betas={"two"})["anthropic-beta"] == "own,two"
    assert passthrough_headers(fixed, CLAUDE_CODE, betas=())["anthropic-beta"] == "own"


def test_a_callers_own_credential_travels_only_as_it_came() -> None:
    assert caller_auth(CLAUDE_CODE) == {"x-api-key": "pb", "authorization": "Bearer sk-ant-oat01-xyz"}


def test_headers_of_one_connection_end_here_and_so_do_those_it_names() -> None:
    kept = end_to_end({
        "connection": "close, X-Hop", "x-hop": "1", "proxy-x": "1", "content-encoding": "gzip", "cookie": "c",
        "x-goog-api-key": "k", "chatgpt-account-id": "a", "x-kept": "1",
    } | dict.fromkeys(HOP_BY_HOP - {"connection"}, "1"))  # fmt: skip
    assert kept == {"x-kept": "1"}


def test_an_answer_shows_when_to_come_back_and_the_providers_request_id() -> None:
    upstream = {
        "retry-after": "12", "retry-after-ms": "12000", "x-should-retry": "false", "request-id": "req_1",
        "set-cookie": "a=b", "server": "x", "content-encoding": "gzip", "x-ratelimit-limit-requests": "5",
    }  # fmt: skip
    expected = {
        "retry-after": "12", "retry-after-ms": "12000", "x-should-retry": "false",
        "x-portbroker-upstream-request-id": "req_1", "x-ratelimit-limit-requests": "5",
    }  # fmt: skip
    assert answer_headers(upstream, "openai.chat") == expected
    assert answer_headers(telling_headers(upstream), "openai.chat") == expected
    assert "x-ratelimit-limit-requests" not in answer_headers(upstream, "openai.chat", alone=False)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("retry-after", "1.5", True),
        ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", True),
        ("retry-after", "-5", False),
        ("retry-after", "", False),
        ("retry-after", "1\r\nx: y", False),
        ("retry-after", "9" * 600, False),
        ("x-should-retry", "maybe", False),
        ("x-should-retry", "true", True),
    ],
)
def test_a_value_that_makes_no_sense_stays_behind(name: str, value: str, kept: bool) -> None:
    assert answer_headers({name: value}, "anthropic.messages") == ({name: value} if kept else {})


def test_a_value_that_could_end_a_header_stays_behind() -> None:
    odd = {"request-id": "a\nb", "x-ratelimit-limit-requests": "5\r\n", "anthropic-ratelimit-x": "é"}
    assert answer_headers(odd, "openai.chat") == {}
    assert telling_headers(odd) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "pb-" + "a" * 43},
        {"authorization": "Bearer pb-" + "a" * 43},
        {"api-key": " pb-" + "a" * 43},
        {"authorization": "bearer   pb-a"},
        {"x-api-key": "sk-1, pb-a"},
    ],
)
def test_a_key_of_the_gateway_goes_to_no_provider(headers: dict[str, str]) -> None:
    assert caller_auth({**headers, "user-agent": "x"}) == {}


def test_a_callers_own_credential_goes_on_beside_a_key_of_the_gateway() -> None:
    headers = {"x-api-key": "pb-" + "a" * 43, "authorization": "Bearer sk-ant-oat01-xyz"}
    assert caller_auth(headers) == {"authorization": "Bearer sk-ant-oat01-xyz"}
