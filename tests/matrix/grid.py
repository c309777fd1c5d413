"""The grid itself: every thing through every pair of dialects, and what came of it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import orjson

from portbroker.call import parse_call
from portbroker.cases.parts import relay
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.dialects.faults import read_error_response
from portbroker.dialects.registry import DIALECTS
from portbroker.snapshot import Target
from portbroker.translate import Passing, Translating, prepare
from tests.matrix import answers, errors
from tests.matrix.answers import PARTS, THOUGHTFUL, Part
from tests.matrix.asks import Ask, body_of
from tests.matrix.errors import Wrong
from tests.providers import Json

_FILE = """
providers:
  - {name: Claude, provider_type: anthropic, api_key: k}
  - {name: Chat, provider_type: openai, api_key: k, translation: {dialect: openai.chat}}
  - {name: Responses, provider_type: openai, api_key: k, translation: {dialect: openai.responses}}
"""
_PROVIDERS = {
    "anthropic.messages": ("Claude", "claude-sonnet-5-5"),
    "openai.chat": ("Chat", "gpt-5-mini"),
    "openai.responses": ("Responses", "gpt-5-mini"),
}
"""By dialect, the provider of the presets that stands for it, and its model."""
PAIRS = [(client, provider) for client in DIALECTS for provider in DIALECTS]

Fate = Literal["carried", "changed", "lost", "unneeded", "silent", "none"]


@dataclass(frozen=True)
class Cell:
    """What came of one thing in one pair.

    `none`: the client has no word for it. `unneeded`: a hint that has no meaning there. `silent`: lost, and not said.
    """

    fate: Fate
    adaptations: tuple[str, ...] = ()
    why: str = ""


@cache
def targets() -> dict[str, Target]:
    """By dialect, a provider that speaks it, as the presets have it."""
    snapshot = compile_snapshot(
        load_text(_FILE.encode(), file="matrix.yaml", directory=Path("/nonexistent"), environ={})
    )
    return {dialect: snapshot.target(snapshot.providers[name], model) for dialect, (name, model) in _PROVIDERS.items()}


def put(body: Json, client: str, provider: str) -> tuple[Json, Translating | Passing]:
    """The provider's body for a client's, and what will read the answer."""
    call = parse_call(orjson.dumps(body), DIALECTS[client])
    sent, answering = prepare(call, targets()[provider], strict=False, request_id="req_matrix", created=1)
    assert isinstance(answering, Translating | Passing)
    return orjson.loads(sent), answering


def asked(ask: Ask, client: str, provider: str, *, stream: bool = False) -> Cell:
    """What becomes of it on the way to the provider."""
    if client not in ask.said:
        return Cell("none")
    sent, answering = put({**body_of(ask, client), "stream": stream}, client, provider)
    reported = tuple(str(adaptation) for adaptation in answering.reading.asked.report)
    look, instead = ask.looks.get(provider), ask.instead.get(provider)
    if look is not None and look(sent) == ask.value:
        return Cell("changed" if reported else "carried", reported)
    if instead is not None and instead[0](sent):
        return Cell("changed", reported, instead[1])
    if ask.hint and not reported:
        return Cell("unneeded")
    return Cell("lost" if reported else "silent", reported)


def answered(part: Part, client: str, provider: str, *, stream: bool) -> Cell:
    """What becomes of it on the way back."""
    if part.mends and provider not in part.mends:
        return Cell("none")
    _, answering = put(answers.asking(part, client, stream=stream), client, provider)
    before = len(answering.reading.asked.report)
    if stream:
        raw = b"".join(map(answering.feed, answers.streamed(part, provider))) + answering.end()
        told = answers.read_stream(raw, client)
    else:
        told = answers.read(orjson.loads(answering.whole(answers.whole(part, provider))), client)
    reported = tuple(str(adaptation) for adaptation in list(answering.reading.asked.report)[before:])
    if part.reads(told) == part.value:
        return Cell("changed" if reported else "carried", reported)
    return Cell("lost" if reported else "silent", reported)


def proven(client: str, provider: str) -> Cell:
    """Whether the provider gets back the proof of its own thinking, with the results of its calls."""
    ask = answers.asking(THOUGHTFUL, client, stream=False)
    _, answering = put(ask, client, provider)
    answer = orjson.loads(answering.whole(answers.whole(THOUGHTFUL, provider)))
    said = "input" if client == "openai.responses" else "messages"
    sent, _ = put({**ask, said: [*ask[said], *answers.returned(answer, client)]}, client, provider)
    if provider == "openai.chat":
        return Cell("none", why="it has no proof to give")
    return Cell("carried" if THOUGHTFUL.turn.signature in str(sent) else "silent")


def refused(wrong: Wrong, client: str, provider: str) -> Cell:
    """What a client learns of a failure before the answer."""
    status, body = wrong.said[provider]
    error = read_error_response(status, wrong.headers, orjson.dumps(body), "Provider")
    answer = DIALECTS[client].encode_error(error, "req_matrix")
    kept = all(answer.headers.get(name) == value for name, value in wrong.headers.items())
    said = errors.shown(answer.status, answer.body)
    return Cell("carried" if wrong.told in str(answer.body) and kept else "silent", why=said)


def interrupted(client: str, provider: str, *, cut: bool) -> Cell:
    """What a client learns of a failure in the middle of a stream: `cut` without a word, or with an error."""
    _, answering = put(answers.asking(PARTS[0], client, stream=True), client, provider)
    pieces = errors.begun(provider) if cut else errors.broken(provider)
    raw = relay(answering, pieces, dropped=cut)
    text, error = errors.told(raw)
    told = error != "" if cut else errors.MESSAGE in error
    return Cell("carried" if text == errors.BEGUN and told else "silent", why=f"{text!r}, {error!r}")
