"""From what the file says of the database to a `Store`. The one rule: only the client of that database is imported."""

from pathlib import Path

from portbroker.config.database import DatabaseConfig
from portbroker.errors import StoreError
from portbroker.store import Store
from portbroker.store.called import CalledStore
from portbroker.store.database import Database


def make_store(config: DatabaseConfig, directory: Path) -> Store:
    """The store, not opened yet; `directory` is that of the configuration file. Raises `StoreError` with what to do."""
    return CalledStore(_database(config, directory))


def _database(config: DatabaseConfig, directory: Path) -> Database:
    if config.kind == "sqlite":
        from portbroker.store.keeper import KeptDatabase

        return KeptDatabase(sqlite_path(config.location, directory))
    if config.kind == "supabase":
        return _supabase(config)
    if not config.location:
        raise StoreError("`type: postgresql` needs a URL: set `url` under `database:`, or DATABASE_URL")
    from portbroker.store.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(config.location)


def _supabase(config: DatabaseConfig) -> Database:
    if config.supabase_url is None or config.supabase_key is None:
        raise StoreError("`type: supabase` needs URL and key of the project: set SUPABASE_URL and SUPABASE_KEY")
    from portbroker.store.supabase import SupabaseDatabase

    return SupabaseDatabase(config.supabase_url, config.supabase_key.get_secret_value())


def sqlite_path(url: str, directory: Path) -> Path:
    """The file that `sqlite:///./portbroker.db` or `sqlite:////var/lib/portbroker.db` names."""
    return (directory / Path(url.removeprefix("sqlite:///")).expanduser()).resolve()
