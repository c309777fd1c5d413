"""A file that changes is served within a second, wholly or not at all, and no call notices."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portbroker.app import Listening, running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from portbroker.reload import Reloader, reloading
from tests.providers import FakeProvider, chat_stream, serving, streams
from tests.reloads import ASK, Caller, Numbers, echo, marked, replace, revision_of


@dataclass
class Served:
    """A gateway that follows a file."""

    path: Path
    reloader: Reloader
    listening: Listening
    session: aiohttp.ClientSession

    @property
    def revision(self) -> str:
        return self.listening.gateway.snapshot.revision

    async def ask(self, **more: Any) -> tuple[aiohttp.ClientResponse, str]:
        async with self.session.post(f"{self.listening.url}/v1/messages", json={**ASK, **more}) as response:
            return response, await response.text()

    async def health(self) -> dict[str, Any]:
        async with self.session.get(f"{self.listening.url}/health") as response:
            body: dict[str, Any] = await response.json()
            return body

    async def until(self, true: Callable[[], bool]) -> float:
        """Seconds until it is so."""
        began = time.monotonic()
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.005)
        return time.monotonic() - began

    async def takes_effect(self, text: str) -> float:
        """Seconds until calls are served by this text."""
        took = await self.until(lambda: self.revision == revision_of(text))
        response, _ = await self.ask()
        assert response.headers["x-portbroker-revision"] == revision_of(text)
        return took

    async def save(self, text: str) -> bool:
        """Write the file and reload by hand; whether it went well."""
        self.path.write_text(text)
        return (await self.reloader.reload("test")).succeeded


@contextlib.asynccontextmanager
async def following(path: Path, *, watch: bool = True) -> AsyncIterator[Served]:
    loaded = load(path)
    snapshot = compile_snapshot(loaded)
    async with (
        running(snapshot, host="127.0.0.1", port=0, max_body=1024 * 1024) as listening,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        contextlib.AsyncExitStack() as stack,
    ):
        reloader = Reloader(path, loaded, snapshot, listening)
        if watch:
            await stack.enter_async_context(reloading(reloader))
            await asyncio.sleep(0.15)  # until the kernel watches: nothing tells when that is
        yield Served(path, reloader, listening, session)


@contextlib.asynccontextmanager
async def file_of(directory: Path) -> AsyncIterator[tuple[Path, FakeProvider]]:
    async with serving(echo) as provider:
        path = directory / "portbroker.yaml"
        path.write_text(marked(provider.url, 1))
        yield path, provider


# every way to save


def _in_place(path: Path, text: str) -> None:
    path.write_text(text)


def _gone_and_back(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def _slowly(path: Path, text: str) -> None:
    with path.open("w") as out:
        for letter in text:
            out.write(letter)
            out.flush()


def _in_a_burst(path: Path, text: str) -> None:
    for number in range(39):
        path.write_text(f"{text}# {number}\n")
    path.write_text(text)


@pytest.mark.parametrize("save", [_in_place, replace, _gone_and_back, _slowly, _in_a_burst])
async def test_each_save_takes_effect_within_a_second(save: Callable[[Path, str], None], tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider), following(path) as served:
        for number in (2, 3, 4):
            text = marked(provider.url, number)
            save(path, text)
            assert await served.takes_effect(text) < 1


async def test_each_swap_of_a_config_map_takes_effect(tmp_path: Path) -> None:
    async with serving(echo) as provider:

        def swap(number: int) -> str:
            version = tmp_path / f"v{number}"
            version.mkdir()
            (version / "portbroker.yaml").write_text(text := marked(provider.url, number))
            (tmp_path / "..tmp").symlink_to(version.name)
            os.replace(tmp_path / "..tmp", tmp_path / "..data")
            return text

        swap(1)
        (path := tmp_path / "portbroker.yaml").symlink_to("..data/portbroker.yaml")
        async with following(path) as served:
            for number in (2, 3, 4):
                assert await served.takes_effect(swap(number)) < 1


async def test_a_link_that_leads_elsewhere_is_followed_and_its_new_end_too(tmp_path: Path) -> None:
    async with serving(echo) as provider:
        for number, name in enumerate(("one", "two"), 1):
            (tmp_path / name).mkdir()
            (tmp_path / name / "real.yaml").write_text(marked(provider.url, number))
        (path := tmp_path / "portbroker.yaml").symlink_to("one/real.yaml")
        async with following(path) as served:
            (tmp_path / "link").symlink_to("two/real.yaml")
            os.replace(tmp_path / "link", path)
            assert await served.takes_effect(marked(provider.url, 2)) < 1
            (tmp_path / "two" / "real.yaml").write_text(marked(provider.url, 3))
            assert await served.takes_effect(marked(provider.url, 3)) < 1


async def test_what_changed_before_the_first_look_takes_effect(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider):
        loaded = load(path)
        snapshot = compile_snapshot(loaded)
        async with running(snapshot, host="127.0.0.1", port=0, max_body=1024 * 1024) as listening:
            path.write_text(text := marked(provider.url, 2))
            async with reloading(Reloader(path, loaded, snapshot, listening)), asyncio.timeout(5):
                while listening.gateway.snapshot.revision != revision_of(text):
                    await asyncio.sleep(0.005)


WITH_SECRETS = """\
providers:
  - {name: P1, provider_type: custom, base_url: URL/v1, api_key: "{{ KEY }}"}
models:
  - {match: marked, targets: [{provider: P1, model: m1}]}
"""


@pytest.mark.parametrize(
    ("name", "template", "first", "second"),
    [
        (".env", "env.RELOADED_KEY", "RELOADED_KEY=sk-first\n", "RELOADED_KEY=sk-second\n"),
        ("secrets.yaml", "secret.KEY", "KEY: sk-first\n", "KEY: sk-second\n"),
        ("key.txt", "file('key.txt')", "sk-first\n", "sk-second\n"),
    ],
)
async def test_a_secret_that_changes_alone_is_sent_from_then_on_and_never_told(
    name: str, template: str, first: str, second: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(echo) as provider:
        (path := tmp_path / "portbroker.yaml").write_text(
            text := WITH_SECRETS.replace("URL", provider.url).replace("KEY", template, 1)
        )
        (beside := tmp_path / name).write_text(first)
        beside.chmod(0o600)
        async with following(path) as served:
            assert "sk-first" in (await served.ask())[1]
            beside.write_text(second)
            before = served.listening.gateway.snapshot
            assert await served.until(lambda: served.listening.gateway.snapshot is not before) < 1
            response, body = await served.ask()
            assert "sk-second" in body
            assert response.headers["x-portbroker-revision"] == revision_of(text)
    assert f"revision {revision_of(text)} with other secrets: the key of P1 changed" in caplog.text
    assert "sk-" not in caplog.text


async def test_a_file_that_was_looked_for_and_comes_makes_its_provider_active(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(echo) as provider:
        (path := tmp_path / "portbroker.yaml").write_text(
            WITH_SECRETS.replace("URL", provider.url).replace("KEY", "env.RELOADED_KEY", 1)
        )
        async with following(path) as served:
            (tmp_path / ".env").write_text("RELOADED_KEY=sk-third\n")
            await served.until(lambda: served.listening.gateway.snapshot.providers["P1"].active)
            assert "sk-third" in (await served.ask())[1]
    assert "provider P1 is active now" in caplog.text


async def test_a_file_whose_lack_was_the_fault_mends_it_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with file_of(tmp_path) as (path, provider), following(path) as served:
        path.write_text(
            text := marked(provider.url, 2).replace("P2,", "P2, headers: {x-mark: \"{{ file('mark') }}\"},", 1)
        )
        await served.until(
            lambda: served.reloader.status.last is not None and not served.reloader.status.last.succeeded
        )
        (tmp_path / "mark").write_text("here")
        assert await served.takes_effect(text) < 1
        assert provider.last.headers["x-mark"] == "here"


# several files


async def parts_of(directory: Path, url: str) -> Path:
    """A file that includes whatever is in a directory beside it, which is not there yet."""
    path = directory / "portbroker.yaml"
    path.write_text(f"include: ['parts/*.yaml']\nproviders: [{{name: P, base_url: '{url}/v1', api_key: k}}]\n")
    return path


def part(number: int) -> str:
    return f"models: [{{match: marked, targets: [{{provider: P, model: m{number}}}]}}]\n"


async def test_an_included_file_that_comes_changes_and_goes_takes_effect_each_time(tmp_path: Path) -> None:
    async with serving(echo) as provider:
        path = await parts_of(tmp_path, provider.url)
        async with following(path) as served:

            async def serves(model: str | None) -> None:
                async with asyncio.timeout(2):
                    while True:
                        response, _ = await served.ask()
                        if response.headers.get("x-portbroker-model") == model:
                            return
                        await asyncio.sleep(0.01)

            parts = tmp_path / "parts"
            parts.mkdir()
            (parts / "a.yaml").write_text(part(2))
            await serves("m2")
            replace(parts / "a.yaml", part(3))
            await serves("m3")
            (parts / "a.yaml").write_text("models: [")
            await served.until(lambda: (last := served.reloader.status.last) is not None and not last.succeeded)
            await serves("m3")
            (parts / "a.yaml").unlink()
            await serves(None)
            (parts / "b.yaml").write_text(part(4))
            await serves("m4")


async def test_a_fault_of_an_included_file_is_told_with_its_own_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(echo) as provider:
        path = await parts_of(tmp_path, provider.url)
        async with following(path, watch=False) as served:
            (tmp_path / "parts").mkdir()
            (tmp_path / "parts" / "a.yaml").write_text(part(2) + "colour: red\n")
            assert not (await served.reloader.reload("test")).succeeded
    assert f"{tmp_path}/parts/a.yaml:2:1: colour: " in caplog.text
    assert " 2 | colour: red\n" in caplog.text


async def test_the_end_mark_of_an_included_file_is_enforced_once_it_has_had_it(tmp_path: Path) -> None:
    async with serving(echo) as provider:
        path = await parts_of(tmp_path, provider.url)
        async with following(path, watch=False) as served:
            (tmp_path / "parts").mkdir()
            for text, good in ((part(2), True), (part(3) + "...\n", True), (part(4), False), (part(5) + "...\n", True)):
                (tmp_path / "parts" / "a.yaml").write_text(text)
                assert (await served.reloader.reload("test")).succeeded is good
            (tmp_path / "parts" / "a.yaml").unlink()
            assert (await served.reloader.reload("test")).succeeded


# faults


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("", "the file is empty"),
        ("providers: [", "a value is missing here"),
        ("providers:\n  - {name: P1, colour: red}\n", "colour"),
        ("models:\n  - {match: x, targets: [{provider: Nobody, model: m}]}\n", "Nobody"),
        ("[" * 30_000, "nested"),
    ],
)
async def test_a_broken_file_changes_nothing_and_is_told_with_its_place(
    broken: str, words: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        first = served.revision
        assert not await served.save(broken)
        assert (await served.ask())[0].headers["x-portbroker-revision"] == first
        assert f"the file cannot be served; still serving {first}" in caplog.text
        assert words in caplog.text
        health = await served.health()
        assert (health["revision"], health["last_reload"]["succeeded"]) == (first, False)
        assert await served.save(marked(provider.url, 2))
        assert (await served.health())["last_reload"]["succeeded"] is True
        await served.takes_effect(marked(provider.url, 2))


async def test_a_fault_is_shown_with_its_line_and_a_caret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        await served.save(marked(provider.url, 2) + "colour: red\n")
    assert f"{path}:5:1: colour: " in caplog.text
    assert " 5 | colour: red\n" in caplog.text
    assert "   | ^^^^^^" in caplog.text


async def test_a_file_that_goes_is_no_reason_to_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with file_of(tmp_path) as (path, provider), following(path) as served:
        path.unlink()
        await served.until(lambda: "is not there" in caplog.text)
        assert (await served.ask())[0].status == 200
        path.write_text(text := marked(provider.url, 2))
        await served.takes_effect(text)


async def test_what_is_served_already_is_not_served_anew(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, _), following(path, watch=False) as served:
        before = served.listening.gateway.snapshot
        path.touch()
        assert (await served.reloader.reload("test")).succeeded
        assert served.listening.gateway.snapshot is before


async def test_the_end_mark_is_enforced_once_the_file_has_had_it(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        assert await served.save(marked(provider.url, 2))
        assert await served.save(marked(provider.url, 3) + "...\n# the end\n")
        assert not await served.save(marked(provider.url, 4))
        last = served.reloader.status.last
        assert last is not None
        assert "ends without its last line `...`" in last.problems[0].message
        assert await served.save(marked(provider.url, 5) + "...\n")


async def test_fields_that_ask_for_a_restart_are_named_and_the_rest_applies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        text = marked(provider.url, 2) + "server: {port: 9999, max_body: 2048}\ndatabase: {url: sqlite:///x.db}\n"
        assert await served.save(text)
        await served.takes_effect(text)
        last = served.reloader.status.last
        assert last is not None
        assert last.restart == ("server.port", "server.max_body", "database.url")
        assert "server.port, server.max_body, database.url: served only after a restart" in caplog.text
        assert await served.save(marked(provider.url, 3))
        assert served.reloader.status.last is not None
        assert served.reloader.status.last.restart == ()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("auth: {calls: key}", "auth.calls"),
        ("usage: {retention: 1d}", "usage.retention"),
        ("limits: {backend: database}", "limits.backend"),
        ("database: {url: 'sqlite:///./other.db'}", "database.url"),
        ("server: {state: elsewhere}", "server.state"),
    ],
)
async def test_what_is_read_at_the_start_is_never_changed_in_silence(text: str, field: str, tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        assert await served.save(f"{marked(provider.url, 2)}{text}\n")
        assert served.reloader.status.last is not None
        assert served.reloader.status.last.restart == (field,)


# calls


async def test_no_call_fails_or_is_mixed_while_the_file_is_reloaded_without_a_pause(tmp_path: Path) -> None:
    numbers = Numbers()
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        numbers.note(path.read_text(), 1)
        url = served.listening.url
        callers = [Caller(url, numbers, stream, keep) for stream in (False, True) for keep in (True, True, False)]
        async with asyncio.TaskGroup() as tasks:
            for caller in callers:
                tasks.create_task(caller.run())
            for number in range(2, 202):
                assert await served.save(numbers.note(marked(provider.url, number), number))
            answered = [caller.answered for caller in callers]
            await served.until(lambda: all(c.answered > n for c, n in zip(callers, answered, strict=True)))
            for caller in callers:
                caller.stopped = True
        assert [caller.wrong for caller in callers] == [[]] * len(callers)
        assert len(set[int]().union(*(caller.seen for caller in callers))) > 20


async def test_a_stream_on_a_provider_that_is_removed_goes_on_to_its_end(tmp_path: Path) -> None:
    release = asyncio.Event()
    begin, _, rest = chat_stream("Hel", "lo").partition(b"lo")

    async def behave(request: Any) -> Any:
        response = await streams(begin)(request)
        await release.wait()
        await response.write(b"lo" + rest)
        return response

    async with serving(behave) as held, file_of(tmp_path) as (path, provider):
        path.write_text(marked(held.url, 1))
        async with following(path, watch=False) as served:
            body = {**ASK, "stream": True}
            async with served.session.post(f"{served.listening.url}/v1/messages", json=body) as response:
                await response.content.readline()
                assert await served.save(marked(provider.url, 2))
                assert (await served.ask())[0].headers["x-portbroker-provider"] == "P2"
                release.set()
                text = (await response.content.read()).decode()
            assert response.headers["x-portbroker-provider"] == "P1"
            assert "message_stop" in text
            await served.until(lambda: connections_to(held.url) == 0)
            assert connections_to(provider.url) == 1


def connections_to(url: str) -> int:
    """How many connections to a server are open."""
    end = f"0100007F:{int(url.rsplit(':', 1)[1]):04X}"
    return sum(line.split()[2:4] == [end, "01"] for line in Path("/proc/net/tcp").read_text().splitlines())


async def test_a_provider_that_stays_keeps_its_connection(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        ports = set()
        for number in range(2, 6):
            await served.ask()
            lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
            end = f"0100007F:{int(provider.url.rsplit(':', 1)[1]):04X}"
            ports |= {line[1] for line in lines if line[2] == end and line[3] == "01"}
            assert await served.save(marked(provider.url, number))
        assert len(ports) == 1


# triggers


async def test_two_reloads_at_once_end_with_what_was_saved_last(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        path.write_text(text := marked(provider.url, 2))
        results = await asyncio.gather(*(served.reloader.reload("test") for _ in range(5)))
        assert all(result.succeeded for result in results)
        assert served.revision == revision_of(text)


async def test_a_storm_of_signals_is_survived_and_the_last_save_served(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider), following(path) as served:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: served.reloader.trigger("SIGHUP"))
        try:
            for number in range(300):
                path.write_text(text := marked(provider.url, number))
                os.kill(os.getpid(), signal.SIGHUP)
                await asyncio.sleep(0)
            await served.takes_effect(text)
        finally:
            loop.remove_signal_handler(signal.SIGHUP)


async def test_a_thousand_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        await served.save(marked(provider.url, 2))
        await served.ask()
        before = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
        for number in range(1000):
            assert await served.save(marked(provider.url, number % 7 + 1))
        await served.ask()
        assert len(asyncio.all_tasks()) <= before[0]
        assert len(os.listdir("/proc/self/fd")) <= before[1]
