"""Every example is served and called: its own tests pass, and each name it serves is answered by a real socket.

The one rule: an example is called as it stands; only its providers' addresses are those of the test.
"""

import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from portbroker.app import running
from portbroker.cli.expectations import run_tests
from portbroker.cli.outcomes import failure
from portbroker.cli.terminal import Terminal
from portbroker.compile import compile_snapshot
from portbroker.config.load import load, load_text
from portbroker.snapshot import Route, Snapshot
from tests.calls import asking
from tests.providers import (
    FakeProvider,
    Json,
    answers,
    anthropic_answer,
    anthropic_stream,
    chat_answer,
    chat_stream,
    serving,
    streams,
)

ROOT = Path(__file__).parent.parent
FILES = (ROOT / "portbroker.yaml", *sorted((ROOT / "examples").glob("*.yaml")), *sorted(ROOT.glob("examples/*/*.yaml")))
KEY = "sk-test"
ANSWERS = {
    ("anthropic.messages", False): answers(anthropic_answer("Hello")),
    ("anthropic.messages", True): streams(anthropic_stream("Hel", "lo")),
    ("openai.chat", False): answers(chat_answer("Hello")),
    ("openai.chat", True): streams(chat_stream("Hel", "lo")),
}


@dataclass
class Example:
    """An example in a directory of its own, with the variables and secrets that it asks for."""

    path: Path
    variables: dict[str, str]

    def snapshot(self, url: str = "") -> Snapshot:
        """The file compiled, its providers at `url` when one is given."""
        if not url:
            return compile_snapshot(load(self.path, environ=self.variables, thorough=True))
        document = load(self.path, environ=self.variables).document
        assert document is not None
        data = {**document.data, "include": []}
        for provider in data["providers"]:
            provider |= {"base_url": f"{url}/v1", "is_active": True}
        raw = json.dumps(data).encode()  # JSON is YAML
        return compile_snapshot(load_text(raw, file=self.path.name, directory=self.path.parent, environ=self.variables))


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(ROOT)))
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Example:
    path = tmp_path / "portbroker.yaml"
    if request.param.parent in (ROOT, ROOT / "examples"):
        shutil.copy(request.param, path)
    else:
        shutil.copytree(request.param.parent, tmp_path, dirs_exist_ok=True)
    text = "".join(part.read_text() for part in tmp_path.rglob("*.yaml"))
    for name in re.findall(r"\bfile\('([^']+)'\)", text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(KEY + "\n")
    if names := re.findall(r"\bsecret\.(\w+)", text):
        (tmp_path / "secrets.yaml").write_text("".join(f"{name}: {KEY}\n" for name in names))
        (tmp_path / "secrets.yaml").chmod(0o600)
    return Example(path, dict.fromkeys(re.findall(r"\benv\.(\w+)", text), KEY))


def test_an_example_can_be_served_and_passes_its_own_tests(example: Example) -> None:
    snapshot = example.snapshot()
    assert not [
        provider for provider in snapshot.providers.values() if provider.reason not in ("", "is_active is false")
    ]
    outcomes = list(run_tests(example.path))
    assert outcomes, "an example says what it promises"
    for outcome in outcomes:
        assert outcome.passed, "\n".join(failure(outcome, Terminal()))


@contextlib.asynccontextmanager
async def gateway(snapshot: Snapshot) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    async with (
        running(snapshot, host="127.0.0.1", port=0, max_body=1024 * 1024) as listening,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        yield session, listening.url


async def speak(request: web.Request) -> web.StreamResponse:
    """A provider of either dialect."""
    body = await request.json()
    dialect = "anthropic.messages" if request.path.endswith("/messages") else "openai.chat"
    return await ANSWERS[dialect, body.get("stream") is True](request)


def served_names(snapshot: Snapshot) -> list[str]:
    """A name for each rule and for each entry of a provider's list."""
    patterns = [rule.pattern.text for rule in snapshot.models.rules if rule.when is None]
    patterns += [pattern for provider in snapshot.providers.values() for pattern in provider.models]
    return list(dict.fromkeys(pattern.replace("*", "x") for pattern in patterns))


READERS: dict[str, tuple[Callable[[Json], str], Callable[[Json], list[str]]]] = {
    "anthropic.messages": (
        lambda body: body["content"][0]["text"],
        lambda event: [event["delta"].get("text", "")] if event["type"] == "content_block_delta" else [],
    ),
    "openai.chat": (
        lambda body: body["choices"][0]["message"]["content"],
        lambda chunk: [choice["delta"].get("content") or "" for choice in chunk["choices"]],
    ),
    "openai.responses": (
        lambda body: body["output"][0]["content"][0]["text"],
        lambda event: [event["delta"]] if event["type"] == "response.output_text.delta" else [],
    ),
}
"""How a client of each dialect reads the text of a whole answer, and of an event."""


def text_of(raw: bytes, route: Route, *, stream: bool) -> str:
    """What a client reads of an answer in the dialect of a route."""
    whole, pieces = READERS[route.dialect.name]
    if not stream:
        return whole(json.loads(raw))
    lines = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: {")]
    return "".join(piece for line in lines for piece in pieces(json.loads(line)))


async def test_each_name_that_an_example_serves_is_answered_in_every_dialect(example: Example) -> None:
    async with serving(speak) as provider:
        snapshot = example.snapshot(provider.url)
        assert {route.dialect.name for route in snapshot.routes.values()} >= {"anthropic.messages", "openai.chat"}
        async with gateway(snapshot) as (session, url):
            for name in served_names(snapshot):
                for route in snapshot.routes.values():
                    for stream in (False, True):
                        await one_call(session, url, name, route, provider, snapshot, stream=stream)


async def one_call(
    session: aiohttp.ClientSession, url: str, name: str, route: Route, provider: FakeProvider, snapshot: Snapshot,
    *, stream: bool,
) -> None:  # fmt: skip
    target = snapshot.resolve(asking(name)).targets[0]
    said = [{"role": "user", "content": "hi"}]
    body: Json = {"model": name, "stream": stream}
    body |= {"input": said} if route.dialect.name == "openai.responses" else {"messages": said, "max_tokens": 50}
    async with session.post(url + route.path, json=body) as response:
        raw = await response.read()
    assert response.status == 200, raw
    assert text_of(raw, route, stream=stream) == "Hello"
    assert response.headers["x-portbroker-provider"] == target.provider.name
    assert provider.last.body["model"] == target.model
    assert any(KEY in value for value in provider.last.headers.values()) == bool(target.secrets)


async def test_the_next_provider_of_the_failover_example_answers_unseen() -> None:
    variables = dict.fromkeys(("GROQ_API_KEY", "TOGETHER_API_KEY", "OPENAI_API_KEY"), KEY)
    example = Example(ROOT / "examples/failover.yaml", variables)

    async def only_the_last_one_works(request: web.Request) -> web.StreamResponse:
        model = (await request.json())["model"]
        return await (speak if model.startswith("gpt-") else answers({"error": {"message": "busy"}}, 503))(request)

    async with serving(only_the_last_one_works) as provider, gateway(example.snapshot(provider.url)) as (session, url):
        body = {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
        async with session.post(url + "/v1/messages", json=body) as response:
            assert response.status == 200
            assert response.headers["x-portbroker-provider"] == "OpenAI"
            assert response.headers["x-portbroker-attempts"] == "3"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_editor_finds_the_schema_from_an_example(path: Path) -> None:
    schema = path.read_text().splitlines()[0].partition("# yaml-language-server: $schema=")[2]
    assert (path.parent / schema).resolve() == ROOT / "schemas" / "portbroker.schema.json"
