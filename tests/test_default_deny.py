"""Every path there is, and every spelling of it, without a key, with a wrong one and with one for calls."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from portbroker.auth import OPEN
from portbroker.keys import new_secret
from portbroker.snapshot import ENDPOINT_ROUTES
from portbroker.store.records import Scopes
from tests.providers import answers, chat_answer, serving
from tests.stateful import Keyed, config, keyed

KEYS = "auth: {calls: key}\n"


def tricks(path: str) -> Iterator[str]:
    """Other ways to write a path."""
    yield f"/{path}"
    yield f"{path}/"
    yield path.upper()
    yield path.replace("/", "//")
    yield path.replace("/v1", "/v1/%2e%2e/v1").replace("/admin", "/health/../admin")
    yield path.replace("e", "%65")
    yield f"/health/..{path}"
    yield f"/health/%2e%2e{path}"
    yield f"{path};x=1"
    yield f"{path}?key=pb-x&api_key=pb-x"
    yield f"{path}%00"
    yield f"/.{path}"
    yield f"{path}/..{path}"


def admin_paths() -> list[str]:
    keys = ["/admin/api-keys", "/admin/api-keys/key_x", "/admin/api-keys/key_x/rotate"]
    configuration = ["/admin/config", "/admin/config/reload", "/admin/providers", "/admin/providers/P1/test"]
    return [*keys, *configuration, "/admin/usage", "/admin/audit", "/admin/nothing"]


async def every_path(gate: Keyed) -> list[str]:
    served = [*gate.gateway.snapshot.routes, *ENDPOINT_ROUTES, "/v1/models", "/v1/models/small", "/nothing", "/metrics"]
    return list(dict.fromkeys([*served, *admin_paths()]))


@pytest.mark.parametrize("who", ["nobody", "a wrong key", "a key for calls of another path"])
async def test_nothing_is_answered_to_who_may_not_ask(tmp_path: Path, who: str) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        _, scoped = await gate.new_key(scopes=Scopes(routes=("/elsewhere",)))
        shown = {"nobody": {}, "a wrong key": {"authorization": f"Bearer {new_secret()}"}}.get(
            who, {"x_api_key": scoped}
        )
        for path in await every_path(gate):
            for spelling, method in itertools.product([path, *tricks(path)], ["GET", "POST", "PUT", "DELETE"]):
                if (method, spelling.partition("?")[0]) == ("GET", "/metrics"):
                    continue  # told to this machine itself, and to nobody behind a proxy on it
                answer = await gate.ask(method, spelling, **shown)
                assert answer.status in (400, 401, 403, 429), (method, spelling, answer.status)
        assert (await gate.ask("GET", "/metrics", x_forwarded_for="203.0.113.9", **shown)).status in (401, 403, 429)
        assert (await gate.ask("GET", "/metrics", host="gateway.example", **shown)).status in (401, 403, 429)
        assert provider.seen == []


async def test_a_key_for_calls_opens_no_door_of_the_admin_api(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        _, secret = await gate.new_key()
        for path in admin_paths():
            for spelling, method in itertools.product([path, *tricks(path)], ["GET", "POST", "PATCH", "DELETE"]):
                answer = await gate.ask(method, spelling, authorization=f"Bearer {secret}")
                assert answer.status in (400, 401, 403, 404, 429), (method, spelling, answer.status)
                assert b"pb-" not in answer.raw.replace(b"pb-x", b"") or answer.status == 404


async def test_a_spelling_that_leads_to_a_call_leads_past_the_same_scope(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        _, secret = await gate.new_key(scopes=Scopes(routes=("/v1/messages",)))
        for spelling in tricks("/v1/chat/completions"):
            answer = await gate.ask("POST", spelling, x_api_key=secret)
            assert answer.status in (400, 403, 404), (spelling, answer.status)
        assert provider.seen == []
        assert (await gate.ask("POST", "/v1/messages", x_api_key=secret)).status == 200


async def test_beyond_this_machine_a_key_is_needed_whatever_the_file_says(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider:
        text = config(provider.url, extra="auth: {calls: local}\n")
        async with keyed(text, tmp_path, host="0.0.0.0") as gate:
            assert (await gate.call()).status == 401
            assert (await gate.call("sk-placeholder")).status == 401
            _, secret = await gate.new_key()
            assert (await gate.call(secret)).status == 200
            for path in OPEN:
                assert (await gate.ask("GET", path)).status == 200
