"""Three client dialects, three provider dialects: nothing that a call or an answer holds is lost without a word."""

import contextlib
import re
from pathlib import Path

import pytest

from portbroker.dialects.registry import DIALECTS
from tests.matrix import grid
from tests.matrix.answers import PARTS, Part
from tests.matrix.asks import ASKS, Ask, body_of
from tests.matrix.errors import WRONGS, Wrong
from tests.matrix.grid import PAIRS

PAGE = Path(__file__).parent.parent / "docs" / "matrix.md"
each_pair = pytest.mark.parametrize(("client", "provider"), PAIRS)
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@each_way
@each_pair
@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.name)
def test_what_a_call_holds_arrives_or_is_reported(ask: Ask, client: str, provider: str, stream: bool) -> None:
    cell = grid.asked(ask, client, provider, stream=stream)
    assert cell.fate != "silent"
    assert cell.fate in ("carried", "none") or client != provider
    assert (cell.fate == "none") == (client not in ask.said)
    for adaptation in cell.adaptations:
        assert re.fullmatch(r"(dropped|clamped|changed|degraded|inlined|added):[\w.\[\]]+", adaptation)
    assert cell == grid.asked(ask, client, provider, stream=not stream)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_thing_can_be_lost_so_that_the_test_can_fail(dialect: str) -> None:
    """What is looked for is not there unless it was asked for."""
    plain = Ask("nothing", {dialect: {}}, {}, None)
    sent, _ = grid.put(body_of(plain, dialect), dialect, dialect)
    for ask in ASKS:
        look = ask.looks.get(dialect)
        with contextlib.suppress(KeyError, IndexError, TypeError):
            assert look is None or look(sent) != ask.value, ask.name


@each_pair
@pytest.mark.parametrize(
    ("part", "stream"),
    [
        pytest.param(part, stream, id=f"{part.name}, {'streamed' if stream else 'whole'}")
        for part in PARTS
        for stream in part.ways
    ],
)
def test_what_an_answer_holds_reaches_the_client(part: Part, client: str, provider: str, stream: bool) -> None:
    cell = grid.answered(part, client, provider, stream=stream)
    only_anthropic = part.name == "words of a document that it cites"
    if only_anthropic and client != provider:
        assert cell.fate == ("lost" if provider == "anthropic.messages" else "none")
    else:
        assert cell.fate == ("none" if only_anthropic and provider != "anthropic.messages" else "carried")


@each_pair
def test_the_proof_of_what_was_thought_goes_back_to_its_provider(client: str, provider: str) -> None:
    assert grid.proven(client, provider).fate == ("none" if provider == "openai.chat" else "carried")


@each_pair
@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: wrong.name)
def test_a_failure_is_told_in_the_clients_own_words(wrong: Wrong, client: str, provider: str) -> None:
    cell = grid.refused(wrong, client, provider)
    assert cell.fate == "carried"
    assert cell == grid.refused(wrong, client, client)  # whoever answers, a client meets the same error


@pytest.mark.parametrize("cut", [False, True], ids=["error", "cut"])
@each_pair
def test_a_stream_that_fails_shows_what_there_was_and_says_so(client: str, provider: str, cut: bool) -> None:
    cell = grid.interrupted(client, provider, cut=cut)
    assert cell.fate == "carried", cell.why


def test_the_page_has_a_row_for_each_thing() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in (thing.name for thing in (*ASKS, *PARTS, *WRONGS)):
        assert f"| {name} |" in page
