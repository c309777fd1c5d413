"""One API's rate limits in the other's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.rate_limits import rate_limits_for, without_rate_limits

DATE = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}
A = "anthropic-ratelimit-"
O = "x-ratelimit-"  # noqa: E741 - the two spellings side by side


def test_anthropics_limits_for_a_chat_client() -> None:
    told = rate_limits_for("openai.chat", {
        **DATE, f"{A}requests-limit": "50", f"{A}requests-remaining": "0", f"{A}requests-reset": "2026-11-22T12:06:00Z",
        f"{A}tokens-limit": "900", f"{A}tokens-remaining": "800", f"{A}tokens-reset": "2026-11-22T12:00:01Z",
        f"{A}input-tokens-remaining": "7",
    })  # fmt: skip
    assert told == {
        f"{O}limit-requests": "50", f"{O}remaining-requests": "0", f"{O}reset-requests": "6m0s",
        f"{O}limit-tokens": "900", f"{O}remaining-tokens": "800", f"{O}reset-tokens": "1s",
    }  # fmt: skip


def test_of_input_and_output_tokens_the_scarcer_is_told() -> None:
    told = rate_limits_for("openai.chat", {
        f"{A}input-tokens-limit": "100", f"{A}input-tokens-remaining": "90",
        f"{A}output-tokens-limit": "50", f"{A}output-tokens-remaining": "9",
    })  # fmt: skip
    assert told == {f"{O}limit-tokens": "50", f"{O}remaining-tokens": "9"}


@pytest.mark.parametrize(
    ("wait", "moment"),
    [
        ("6m0s", "2026-11-22T12:06:00Z"),
        ("20ms", "2026-11-22T12:00:01Z"),
        ("2m59.56s", "2026-11-22T12:03:00Z"),
        ("1h1m1s", "2026-11-22T13:01:01Z"),
        ("1d", "2026-11-23T12:00:00Z"),
        ("90", "2026-11-22T12:01:30Z"),
    ],
)
def test_a_wait_becomes_a_moment_by_the_providers_date(wait: str, moment: str) -> None:
    told = rate_limits_for("anthropic.messages", {**DATE, f"{O}limit-tokens": "5", f"{O}reset-tokens": wait})
    assert told == {f"{A}tokens-limit": "5", f"{A}tokens-reset": moment}


@pytest.mark.parametrize("reset", ["", "soon", "6m0", "1763812800000", "-5s", "999999999d"])
def test_a_reset_that_cannot_be_read_is_left_out(reset: str) -> None:
    assert rate_limits_for("anthropic.messages", {**DATE, f"{O}reset-requests": reset}) == {}
    assert rate_limits_for("openai.chat", {**DATE, f"{A}requests-reset": reset}) == {}


def test_without_a_date_there_is_no_reset() -> None:
    assert rate_limits_for("anthropic.messages", {f"{O}reset-requests": "1s"}) == {}
    assert rate_limits_for("openai.chat", {f"{A}requests-reset": "2026-11-22T12:00:00Z", "date": "x"}) == {}


@pytest.mark.parametrize(("moment", "wait"), [("2026-11-22T11:00:00Z", "0s"), ("2026-11-22T14:00:01+01:00", "1h0m1s")])
def test_a_moment_becomes_a_wait(moment: str, wait: str) -> None:
    assert rate_limits_for("openai.chat", {**DATE, f"{A}tokens-reset": moment})[f"{O}reset-tokens"] == wait


def test_a_client_of_the_providers_own_dialect_gets_them_all_unchanged() -> None:
    own = {f"{A}unified-status": "allowed", f"{A}input-tokens-limit": "5"}
    assert rate_limits_for("anthropic.messages", {**own, **DATE}) == own


def test_limits_of_several_providers_are_nobodys() -> None:
    assert without_rate_limits({f"{A}x": "1", f"{O}y": "2", "retry-after": "3"}) == {"retry-after": "3"}


NAMES = st.sampled_from(
    ["date", *(f"{A}{r}-{w}" for r in ("requests", "tokens", "input-tokens") for w in ("limit", "remaining", "reset"))]
    + [f"{O}{w}-{r}" for r in ("requests", "tokens") for w in ("limit", "remaining", "reset")]
)
MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
VALUES = st.text(alphabet="0123456789hmsd.-:TZµ ", max_size=12) | st.text() | MOMENTS


@given(st.dictionaries(NAMES, VALUES), st.sampled_from(["anthropic.messages", "openai.chat"]))
def test_no_header_is_too_odd(headers: dict[str, str], client: str) -> None:
    for date in (headers.get("date", ""), DATE["date"], "Sun, 31 Dec 9999 23:59:59 GMT"):
        rate_limits_for(client, {f"{O}reset-tokens": "1d", **headers, "date": date})
