"""From the words of the file to a store."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from portbroker.config.database import DatabaseConfig
from portbroker.store import StoreError
from portbroker.store.opening import make_store
from tests.store.databases import MIGRATION
from tests.store.samples import api_key, entry


def config(**words: Any) -> DatabaseConfig:
    return DatabaseConfig.model_validate(words)


@pytest.mark.parametrize(("url", "path"), [
    (None, "etc/portbroker.db"),
    ("sqlite:///./portbroker.db", "etc/portbroker.db"),
    ("sqlite:///data/x.db", "etc/data/x.db"),
    ("sqlite:////var/lib/x.db", "/var/lib/x.db"),
    ("sqlite:///../x.db", "x.db"),
])  # fmt: skip
def test_a_file_is_counted_from_the_configuration(tmp_path: Path, url: str | None, path: str) -> None:
    store = make_store(config(url=url), tmp_path / "etc")
    assert (store.kind, store.place) == ("sqlite", str(tmp_path / path))


def test_each_database_is_named_without_its_password(tmp_path: Path) -> None:
    postgresql = make_store(config(url="postgresql://root:hush@db:5432/x"), tmp_path)
    assert (postgresql.kind, postgresql.place) == ("postgresql", "postgresql://db:5432/x")
    supabase = make_store(
        config(type="supabase", supabase_url="https://x.supabase.co", supabase_key=SecretStr("sb_secret_hush")),
        tmp_path,
    )
    assert (supabase.kind, supabase.place) == ("supabase", "https://x.supabase.co")


@pytest.mark.parametrize(("words", "lacking"), [
    ({"type": "postgresql"}, "DATABASE_URL"),
    ({"type": "supabase"}, "SUPABASE_URL and SUPABASE_KEY"),
    ({"type": "supabase", "supabase_url": "https://x.supabase.co"}, "SUPABASE_URL and SUPABASE_KEY"),
])  # fmt: skip
def test_what_is_lacking_is_named(tmp_path: Path, words: dict[str, str], lacking: str) -> None:
    with pytest.raises(StoreError, match=lacking):
        make_store(config(**words), tmp_path)


async def test_two_processes_may_have_the_same_file(tmp_path: Path) -> None:
    one, another = make_store(config(), tmp_path), make_store(config(), tmp_path)
    await one.open()
    await another.open()
    await one.insert_key(api_key(), entry())
    assert len(await another.keys()) == 1
    await one.close()
    await another.close()


def test_the_clients_of_other_databases_are_not_imported(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from portbroker.config.database import DatabaseConfig
from portbroker.store.opening import make_store
async def main():
    store = make_store(DatabaseConfig(), Path(sys.argv[1]))
    await store.open()
    await store.key_version()
    await store.close()
asyncio.run(main())
print(*sorted(name for name in ("sqlalchemy", "asyncpg", "supabase", "httpx", "postgrest") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_migration_is_shipped_with_the_package() -> None:
    assert all("CREATE SCHEMA IF NOT EXISTS portbroker" in sql for sql in MIGRATION[:1])
