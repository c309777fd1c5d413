"""The `tests:` of a configuration: requests through the compiled file, as far as can be seen without a network.

The one rule: a test says the same on every machine, so a provider that only lacks its credential counts as active.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from pydantic import SecretStr

from portbroker.call import parse_call
from portbroker.cases.compare import MISSING, Difference, differences, subset_differences
from portbroker.cases.run import Outcome
from portbroker.compile import compile_snapshot
from portbroker.config.load import SWITCHED_OFF, Loaded, load
from portbroker.config.model import ProviderConfig, TestConfig, TestRequest
from portbroker.conversation import Json
from portbroker.errors import CallError, GatewayError
from portbroker.facts import Facts
from portbroker.failure import worst
from portbroker.resolution import Explanation
from portbroker.side import dialect_of
from portbroker.snapshot import Route, Snapshot, Target
from portbroker.standing import Undisturbed
from portbroker.strategies import order
from portbroker.translate import prepare, upstream_headers

_PLACEHOLDER: Final = SecretStr("no-credential-in-tests")
_SECRET_WORDS: Final = ("auth", "key", "token", "secret", "cookie")


class Tracing(Protocol):
    """Whoever wants to know which rules tests reach."""

    def asked(self, explanation: Explanation) -> None:
        """A test's model has found its pool so."""

    def traced(self, target: Target) -> Target:
        """The same target, with rules that tell when they are reached."""


def run_tests(path: Path) -> Iterator[Outcome]:
    """The outcome of each test of a file. Raises ConfigError."""
    return run_loaded(load(path))


def run_loaded(loaded: Loaded, tracing: Tracing | None = None) -> Iterator[Outcome]:
    """The outcome of each test of a configuration. Raises ConfigError."""
    snapshot = compile_snapshot(_with_credentials(loaded))
    for test in loaded.config.tests:
        yield run_test(test, snapshot, tracing)


def run_test(test: TestConfig, snapshot: Snapshot, tracing: Tracing | None = None) -> Outcome:
    """The outcome of one test."""
    got = outcome_of(test, snapshot, tracing)
    found = tuple(_differences(test.expect, got))
    unexpected = found and "message" in got and not {"status", "error"} & test.expect.keys()
    return Outcome(test.name, differences=found, reason=f"refused: {got['message']}" if unexpected else "")


def outcome_of(test: TestConfig, snapshot: Snapshot, tracing: Tracing | None = None) -> Json:
    """What becomes of a test's request: the provider's request, or the client's error."""
    request = test.request
    path = request.path.partition("?")[0]
    headers = {name.lower(): value for name, value in request.headers.items()}
    route = snapshot.routes.get(path)
    try:
        if route is None:
            raise CallError(f"{path} is not a route of this file", kind="not_found", status=404)
        return _sent(request, headers, route, snapshot, tracing)
    except GatewayError as error:
        answer = (route.dialect if route else dialect_of(path, headers)).encode_error(error, "req_test")
        return {"status": answer.status, "error": answer.body, "message": str(error)}


def _sent(
    request: TestRequest, headers: Mapping[str, str], route: Route, snapshot: Snapshot, tracing: Tracing | None
) -> Json:
    """What the first target that can take the call would be sent."""
    call = parse_call(orjson.dumps(request.body), route.dialect)
    failures: list[GatewayError] = []
    facts = Facts(call, headers, request.key or "")
    pool = snapshot.resolve(facts)
    if tracing:
        tracing.asked(snapshot.models.explain(facts, facts.model))
    for target in order(pool, facts, Undisturbed()):
        target = tracing.traced(target) if tracing else target
        strict = "error" in (route.on_loss, target.provider.on_loss) or headers.get("x-portbroker-strict") == "1"
        try:
            raw, answering = prepare(call, target, strict=strict, request_id="req_test", created=0, route=route.path)
        except GatewayError as error:
            failures.append(error)
        else:
            return {
                "status": 200,
                "provider": target.provider.name,
                "model": target.model,
                "upstream": orjson.loads(raw),
                "headers": _shown(upstream_headers(target, call, headers, target.credentials[0])),
                "adaptations": sorted(map(str, answering.reading.asked.report)),
            }
    raise worst(failures)


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as a report may show them: `<api_key>` for the credential, nothing of any other secret."""
    return {name: _value_shown(name, value) for name, value in headers.items()}


def _value_shown(name: str, value: str) -> str:
    if (placeholder := _PLACEHOLDER.get_secret_value()) in value:
        return value.replace(placeholder, "<api_key>")
    return "<hidden>" if any(word in name for word in _SECRET_WORDS) else value


def _differences(expect: Mapping[str, Any], got: Json) -> Iterator[Difference]:
    for key, expected in expect.items():
        found = got.get(key, MISSING)
        if key in ("upstream", "headers") and found is not MISSING:
            wanted = {name.lower(): value for name, value in expected.items()} if key == "headers" else expected
            for difference in subset_differences(wanted, found):
                yield replace(difference, path=f"{key}.{difference.path}")
        elif key == "error":
            yield from _error_differences(expected, found)
        elif key == "adaptations":
            yield from differences(sorted(expected), found, key)
        else:
            yield from differences(expected, found, key)


def _error_differences(expected: Any, body: Any) -> Iterator[Difference]:
    """A mapping is a part of the error's body; text is its type, its code, or within its message."""
    if body is MISSING or isinstance(expected, dict):
        yield from differences(expected, body, "error", loose=True)
        return
    error = body.get("error", {})
    if expected not in (error.get("type"), error.get("code")) and str(expected) not in str(error.get("message")):
        yield Difference("error", expected, error)


def _with_credentials(loaded: Loaded) -> Loaded:
    """The file as if every credential that it asks for were there, and none of the real ones."""
    lacking = {name for name, reason in loaded.inactive.items() if reason != SWITCHED_OFF}
    providers = tuple(_with_placeholder(provider, provider.name in lacking) for provider in loaded.config.providers)
    inactive = {name: reason for name, reason in loaded.inactive.items() if name not in lacking}
    return replace(loaded, config=loaded.config.model_copy(update={"providers": providers}), inactive=inactive)


def _with_placeholder(provider: ProviderConfig, lacking: bool) -> ProviderConfig:
    if not lacking and provider.api_key is None and not provider.api_keys:
        return provider
    active = lacking or provider.is_active
    return provider.model_copy(update={"api_key": _PLACEHOLDER, "api_keys": (), "is_active": active})
