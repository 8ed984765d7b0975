"""Bring the database to the newest revision: ``python -m models_store.database.migrate``."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from models_store.database.engine import Database
from models_store.settings import StoreSettings

_MIGRATION_LOCK = 0x66696E65  # any number, as long as every migrator asks for the same one


def migrate(database: Database) -> None:
    """Apply every migration that is missing; two migrators at once wait for each other."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.engine.execution_options(finetuned_write=True).connect() as connection, connection.begin():
        _lock(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    """SQLite's BEGIN IMMEDIATE has locked already; PostgreSQL needs an advisory lock."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def main() -> None:
    """Entry point."""
    settings = StoreSettings()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    migrate(database)
    database.close()


if __name__ == "__main__":
    main()
