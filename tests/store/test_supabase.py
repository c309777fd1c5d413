"""What is special about Supabase: its keys, the file to run, and what can happen between here and there."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from portbroker.store import StoreDown, StoreError
from portbroker.store.called import CalledStore
from portbroker.store.migrations import migrations
from portbroker.store.records import Spending, UsageQuery
from portbroker.store.supabase import SupabaseDatabase
from tests.postgresql import Cluster, run
from tests.store.databases import MIGRATION, empty, opened
from tests.store.postgrest import ROLES, SECRET, Project, key_of, project
from tests.store.samples import api_key, entry, event

FILE = str(migrations("postgresql")[0].path)


@pytest.fixture
async def running(postgresql: Cluster) -> AsyncIterator[Project]:
    """A project in which the file was run."""
    async with project(await postgresql.made("supabase", ROLES, *MIGRATION)) as one:
        yield one


@contextlib.asynccontextmanager
async def answering(
    status: int, body: str, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that always answers this; its URL, and the paths it was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, text=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("key", "words"), [
    ("sb_publishable_0123456789", "is a publishable key"),
    (key_of("anon"), "is a key of the role `anon`"),
    (key_of("authenticated"), "is a key of the role `authenticated`"),
    ("no.key.atall", "is no key of Supabase"),
    ("hush-hush", "is no key of Supabase"),
    ("", "is no key of Supabase"),
    ("e30.bnVsbA.e30", "is no key of Supabase"),
])  # fmt: skip
async def test_a_key_for_browsers_is_refused_before_anything_is_sent(running: Project, key: str, words: str) -> None:
    before = running.requests
    with pytest.raises(StoreError, match="take the secret key") as told:
        async with opened(SupabaseDatabase(running.url, key)):
            pass
    assert words in str(told.value)
    assert not key or key not in str(told.value)
    assert running.requests == before


async def test_secret_keys_of_both_kinds_are_taken(running: Project) -> None:
    for key in ("sb_secret_for_tests", key_of("service_role")):
        async with opened(SupabaseDatabase(running.url, key)) as store:
            assert await store.record([event()]) == 1


async def test_a_key_of_another_project_is_told_without_showing_it(running: Project) -> None:
    key = key_of("service_role", SECRET[::-1])
    with pytest.raises(StoreDown, match="does not take SUPABASE_KEY") as told:
        async with opened(SupabaseDatabase(running.url, key)):
            pass
    assert key not in str(told.value)


async def test_without_the_tables_the_file_to_run_is_named(postgresql: Cluster) -> None:
    async with project(await postgresql.made("empty_project", ROLES)) as empty:
        with pytest.raises(StoreError) as told:
            async with opened(SupabaseDatabase(empty.url, key_of("service_role"))):
                pass
    assert f"run {FILE} in the project's SQL editor" in str(told.value)
    assert Path(FILE).is_file()


async def test_a_schema_that_is_not_exposed_is_named(running: Project) -> None:
    running.exposed.discard("portbroker")
    with pytest.raises(StoreError, match="add `portbroker` to the exposed schemas"):
        async with opened(SupabaseDatabase(running.url, key_of("service_role"))):
            pass


async def test_tables_of_a_newer_version_are_left_alone(postgresql: Cluster) -> None:
    url = await postgresql.made("newer_project", ROLES, *MIGRATION)
    await run(url, "UPDATE portbroker.facts SET value = '99' WHERE name = 'version'")
    async with project(url) as newer:
        with pytest.raises(StoreError, match="newer PortBroker"):
            async with opened(SupabaseDatabase(newer.url, key_of("service_role"))):
                pass


async def test_the_file_can_be_run_again_and_keeps_what_is_there(postgresql: Cluster) -> None:
    url = await postgresql.made("again", ROLES, *MIGRATION)
    async with project(url) as running, opened(SupabaseDatabase(running.url, key_of("service_role"))) as store:
        key = api_key()
        await store.insert_key(key, entry())
        version = await store.key_version()
        await run(url, *MIGRATION)
        assert await store.key(key.id) == key
        assert await store.key_version() == version


async def test_a_project_can_be_emptied_for_tests(running: Project) -> None:
    async with opened(SupabaseDatabase(running.url, key_of("service_role"))) as store:
        await store.insert_key(api_key(), entry())
        await store.record([event(period="2026-11")])
        await empty(running.url, key_of("service_role"))
        assert (await store.keys(), await store.audit()) == ([], [])
        assert (await store.usage(UsageQuery(()))).groups == ()
        assert await store.spending("key_1", "2026-11") == Spending()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("path", ["rpc/keys", "rpc/record", "rpc/version", "keys?id=neq.x", "facts?name=neq.x"])
async def test_keys_for_browsers_reach_nothing_of_it(running: Project, role: str, path: str) -> None:
    import httpx

    headers = {"apikey": key_of(role), "authorization": f"Bearer {key_of(role)}", "content-profile": "portbroker"}
    async with httpx.AsyncClient(headers=headers) as http:
        method = "POST" if path.startswith("rpc/") else "DELETE"
        answer = await http.request(method, f"{running.url}/rest/v1/{path}", json={"arguments": {}})
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


async def test_a_project_that_is_not_there_is_down_within_a_second_and_not_asked_again_and_again() -> None:
    store = CalledStore(SupabaseDatabase("http://127.0.0.1:1", "sb_secret_x"))
    begun = time.monotonic()
    with pytest.raises(StoreDown, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        await store.open()
    with pytest.raises(StoreDown):
        await store.key("x")
    assert time.monotonic() - begun < 1
    await store.close()


async def test_a_project_that_does_not_answer_is_down_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portbroker.store.supabase.database.LONGEST", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = CalledStore(SupabaseDatabase(f"http://127.0.0.1:{silent.getsockname()[1]}", "sb_secret_x"))
        begun = time.monotonic()
        with pytest.raises(StoreDown, match="did not answer within 1 s"):
            await store.open()
        assert time.monotonic() - begun < 2
        await store.close()


@pytest.mark.parametrize(("status", "body"), [
    (503, '{"code":"PGRST001","message":"Database client error. Retrying the connection.","details":null,"hint":null}'),
    (503, "<html>upstream connect error</html>"),
    (502, ""),
    (522, "error code: 522"),
    (540, '{"message":"Project paused"}'),
    (429, '{"message":"too many requests"}'),
    (500, '{"code":"57014","message":"canceling statement due to statement timeout","details":null,"hint":null}'),
    (200, "<html>a page</html>"),
    (200, ""),
])  # fmt: skip
async def test_what_may_pass_is_down_and_asked_once(status: int, body: str) -> None:
    async with answering(status, body) as (url, asked):
        store = CalledStore(SupabaseDatabase(url, "sb_secret_x"))
        with pytest.raises(StoreDown):
            await store.open()
        await store.close()
    assert len(asked) == 1


async def test_a_redirect_does_not_take_the_key_elsewhere() -> None:
    async with (
        answering(200, "1") as (other, asked),
        answering(307, "", {"location": f"{other}/rest/v1/x"}) as (url, _),
    ):
        store = CalledStore(SupabaseDatabase(url, "sb_secret_x"))
        with pytest.raises(StoreError):
            await store.open()
        await store.close()
    assert asked == []


async def test_when_a_connection_was_closed_meanwhile_what_can_be_asked_again_is(postgresql: Cluster) -> None:
    database = await postgresql.made("supabase", ROLES, *MIGRATION)
    async with project(database) as running:
        store = CalledStore(SupabaseDatabase(running.url, key_of("service_role")))
        await store.open()
        made = event()
        await asyncio.gather(*(store.key_version() for _ in range(4)))
        port = int(running.url.rpartition(":")[2])
    with pytest.raises(StoreDown):
        await store.record([made])
    async with project(database, port=port):
        assert await store.record([made]) == 1
        assert await store.record([made]) == 0
        await store.close()
