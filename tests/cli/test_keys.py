"""Keys and usage at the terminal: the database itself while nothing runs, the server when one does."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portbroker.cli import main
from portbroker.cli.sessions import session_for
from portbroker.store.opening import make_store
from tests.admin.calls import Admin, Kept, admin_of, kept_in
from tests.admin.test_usage import NOON, call

SECRET = re.compile(r"pb-[0-9A-Za-z]{43}")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PORTBROKER_URL", "PORTBROKER_ADMIN_KEY", "PORTBROKER_CONFIG", "PORTBROKER_STATE", "SECRET_KEY",
                 "DATABASE_URL", "DATABASE_TYPE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    place = tmp_path / "gateway"
    place.mkdir()
    (place / "portbroker.yaml").write_text("providers: []\n")
    monkeypatch.chdir(place)
    return place


class Commands:
    """Runs a command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str) -> tuple[int, str, str]:
        status = main(args)
        captured = self._capsys.readouterr()
        return status, captured.out, captured.err

    async def beside(self, *args: str) -> tuple[int, str, str]:
        """The same beside a server of this process."""
        return await asyncio.to_thread(self, *args)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys)


def test_a_key_is_made_in_one_command_and_its_secret_alone_can_be_had(run: Commands) -> None:
    status, out, err = run("keys", "create", "team-a")
    assert status == 0
    assert SECRET.search(out)
    assert "only time" in err
    status, out, err = run("keys", "create", "team-b", "--secret-only")
    assert (status, err) == (0, "")
    assert SECRET.fullmatch(out.strip())


def test_a_key_is_made_as_the_options_say(run: Commands) -> None:
    status, out, _ = run(
        "keys", "create", "ci", "--budget", "$12.50/week", "--time-zone", "Europe/Berlin", "--rpm", "60",
        "--tpm", "1000", "--concurrent", "2", "--models", "claude-*, fast", "--routes", "/v1/messages",
        "--providers", "OpenAI", "--expires", "2030-01-31", "--tags", "a,b", "--description", "nightly", "--json",
    )  # fmt: skip
    assert status == 0
    key = json.loads(out)
    assert key["budget"] == {"amount": 12.5, "period": "week", "time_zone": "Europe/Berlin"}
    assert key["limits"] == {"requests_per_minute": 60, "tokens_per_minute": 1000, "concurrent": 2}
    assert key["scopes"] == {"models": ["claude-*", "fast"], "routes": ["/v1/messages"], "providers": ["OpenAI"]}
    assert (key["expires_at"], key["tags"], key["description"]) == ("2030-01-31T00:00:00Z", ["a", "b"], "nightly")


def test_keys_are_listed_without_their_secrets(run: Commands) -> None:
    secret = run("keys", "create", "team-a", "--admin", "--secret-only")[1].strip()
    run("keys", "create", "team-b", "--budget", "50")
    _, out, _ = run("keys", "list")
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", *sorted(["team-a", "team-b"], key=out.index)]
    assert secret not in out
    assert f"{secret[:7]}…" in out
    assert "$50.00 a month" in out
    assert [key["name"] for key in json.loads(run("keys", "list", "--search", "m-b", "--json")[1])] == ["team-b"]


def test_an_empty_list_says_how_to_go_on(run: Commands) -> None:
    status, out, err = run("keys", "list")
    assert (status, out) == (0, "")
    assert "keys create" in err


def test_a_key_is_rotated_revoked_and_deleted_by_its_name_or_id(run: Commands) -> None:
    key = json.loads(run("keys", "create", "team-a", "--json")[1])
    _, out, _ = run("keys", "rotate", "team-a", "--overlap", "24h")
    assert "old secret" in out
    assert key["key"] not in out
    assert run("keys", "revoke", key["id"])[1].startswith("team-a is revoked")
    assert "revoked" in run("keys", "show", "team-a")[1]
    assert run("keys", "rotate", "team-a")[0] == 1
    assert run("keys", "delete", "team-a")[0] == 0
    assert run("keys", "list")[1] == ""


def test_what_cannot_be_done_is_said_and_is_a_failure(run: Commands) -> None:
    run("keys", "create", "team-a")
    status, out, err = run("keys", "show", "team-b")
    assert (status, out) == (1, "")
    assert "did you mean 'team-a'?" in err
    status, _, err = run("keys", "create", "team-a")
    assert status == 1
    assert "another key has this name" in err
    assert "names" not in err


WRONG = [
    ["keys"], ["keys", "make"], ["keys", "create"], ["keys", "create", "x", "--budget", "much"],
    ["keys", "create", "x", "--budget", "5/year"], ["keys", "create", "x", "--expires", "soon"],
    ["keys", "rotate", "x", "--overlap", "5"], ["usage", "--by", "hour"], ["usage", "--by", "key,key"],
    ["usage", "--since", "then"], ["usage", "--csv", "--json"], ["login"],
]  # fmt: skip


@pytest.mark.parametrize("args", WRONG, ids=" ".join)
def test_a_wrong_command_line_is_a_usage_error(run: Commands, args: list[str]) -> None:
    try:
        status = run(*args)[0]
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2


def test_without_a_file_and_a_server_there_is_nobody_to_ask(run: Commands, directory: Path) -> None:
    (directory / "portbroker.yaml").unlink()
    status, _, err = run("keys", "list")
    assert status == 1
    assert "no such file, and no server is named" in err


async def recorded(directory: Path) -> None:
    from portbroker.config.database import DatabaseConfig

    store = make_store(DatabaseConfig(), directory)
    await store.open()
    await store.record([call(), call(NOON + 1, model="fast", cost_nano=5_000_000, status=502, outcome="api")])
    await store.close()


def test_usage_is_summed_up_in_a_table(run: Commands, directory: Path) -> None:
    asyncio.run(recorded(directory))
    _, out, _ = run("usage", "--since", "2026-11-01", "--by", "model,provider")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["MODEL", "PROVIDER", "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST"]
    assert lines[1] == ["claude-haiku-4-5", "OpenAI", "1", "0", "100", "30", "20", "$0.00125"]
    assert lines[3] == ["total", "2", "1", "200", "60", "40", "$0.00625"]
    assert len({len(line) for line in out.splitlines()}) == 1, "columns stand below each other"
    rows = list(csv.DictReader(io.StringIO(run("usage", "--since", "2026-11-01", "--csv")[1])))
    assert [(row["key"], row["calls"]) for row in rows] == [("key_a", "2")]
    assert json.loads(run("usage", "--since", "2026-11-01", "--json")[1])[0]["caller"] == "team-a"
    assert "nothing was used" in run("usage", "--until", "2026-11-01", "--since", "2026-10-01")[2]


def test_calls_are_listed_the_newest_first(run: Commands, directory: Path) -> None:
    asyncio.run(recorded(directory))
    _, out, _ = run("usage", "--calls", "--since", "2026-11-01")
    assert "OpenAI/gpt-5-mini" in out
    assert out.index("fast") < out.index("claude-haiku-4-5")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Admin, Kept]]:
    async with kept_in(tmp_path) as kept, admin_of(kept=kept) as admin:
        yield admin, kept


async def test_a_server_that_is_named_is_asked(
    run: Commands, server: tuple[Admin, Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, _ = server
    key = (await admin.post("/admin/api-keys", {"name": "boss", "admin": True})).json["key"]
    status, _, err = await run.beside("keys", "list", "--url", admin.url)
    assert status == 1
    assert "sign in with `portbroker login`" in err
    monkeypatch.setenv("PORTBROKER_ADMIN_KEY", key)
    _, out, _ = await run.beside("keys", "create", "team-a", "--url", admin.url, "--secret-only")
    assert SECRET.fullmatch(out.strip())
    _, out, _ = await run.beside("keys", "list", "--url", admin.url)
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"boss", "team-a"}
    assert (await run.beside("usage", "--url", admin.url))[0] == 0


async def test_a_sign_in_serves_the_commands_after_it(
    run: Commands, server: tuple[Admin, Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, _ = server
    key = (await admin.post("/admin/api-keys", {"name": "boss", "admin": True})).json["key"]
    monkeypatch.setattr("sys.stdin", io.StringIO(key + "\n"))
    status, out, _ = await run.beside("login", admin.url)
    assert status == 0
    assert "signed in" in out
    assert key not in out
    assert key not in session_for(admin.url)
    assert (await run.beside("keys", "list", "--url", admin.url))[0] == 0
    assert (await run.beside("login", admin.url, "--forget"))[1] == "forgotten\n"
    assert (await run.beside("keys", "list", "--url", admin.url))[0] == 1


async def test_a_wrong_key_is_no_sign_in(
    run: Commands, server: tuple[Admin, Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("pb-" + "x" * 43 + "\n"))
    status, _, err = await run.beside("login", server[0].url)
    assert status == 1
    assert "not known here" in err
