"""Databases of before and of now, of both kinds."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

import models_store.database.migrate as migrating
from models_store import audit, keys
from models_store.database.engine import Database
from models_store.database.tables import Base, DatasetRow, JobRow

EARLIER = (
    "INSERT INTO datasets "
    "(id, owner, name, status, options, upload_sha256, classes, splits, bytes, problems, created_at) "
    "VALUES ('ds_1', 'ann', 'films', 'ready', '{}', '', '[]', '{}', 1, '[]', 0)"
)


EARLIER_WITH_WARNINGS = EARLIER.replace("problems,", "problems, warnings,").replace("'[]', 0)", "'[]', '[]', 0)")


def _to(database: Database, revision: str, *statements: str) -> None:
    """Migrate up or down to a revision, and then run some SQL there."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    with database.engine.execution_options(finetuned_write=True).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        if revision.startswith("-"):
            command.downgrade(config, revision.removeprefix("-"))
        else:
            command.upgrade(config, revision)
        for statement in statements:
            connection.execute(text(statement))


def _indexes(database: Database) -> set[str | None]:
    inspector = inspect(database.engine)
    return {index["name"] for table in inspector.get_table_names() for index in inspector.get_indexes(table)}


def test_a_data_set_of_before_has_no_warnings(database_url: str) -> None:
    database = Database(database_url)
    _to(database, "0002", EARLIER)
    migrating.migrate(database)
    with database.read() as session:
        row = session.scalars(select(DatasetRow)).one()
    database.close()
    assert row.warnings == []


def test_a_migrated_database_is_what_the_tables_say(database: Database) -> None:
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == []


def test_the_audit_log_comes_to_a_database_with_rows_and_they_stay(database_url: str) -> None:
    database = Database(database_url)
    _to(database, "0004", EARLIER_WITH_WARNINGS)
    migrating.migrate(database)
    keys.create(database, "ann", keys.USER)
    with database.read() as session:
        entries, _ = audit.page(session, limit=10)
        kept = session.scalars(select(DatasetRow.id)).all()
    database.close()
    assert [entry.action for entry in entries] == ["key.created"]
    assert kept == ["ds_1"]


def test_the_audit_log_can_be_taken_back_and_made_again(database_url: str) -> None:
    database = Database(database_url)
    _to(database, "0004", EARLIER_WITH_WARNINGS)
    before = _indexes(database)
    _to(database, "0005")
    new = _indexes(database) - before
    assert {"ix_audit_owner", "ix_jobs_internal_dataset", "ix_idempotency_object"} <= new
    _to(database, "-0004")
    assert _indexes(database) == before
    assert "audit" not in inspect(database.engine).get_table_names()
    migrating.migrate(database)
    with database.read() as session:
        assert session.scalars(select(DatasetRow.id)).all() == ["ds_1"]
    database.close()


EARLIER_JOB = (
    "INSERT INTO jobs (id, kind, lane, owner, name, dataset_id, request, config, metadata, state, attempt, fence, "
    "barren, cancel_requested, created_at) "
    "VALUES ('job_1', 'fine_tune', 'training', 'ann', 'j', 'ds_1', '{}', '{}', '{}', 'queued', 0, 0, 0, false, 7.5)"
)


def test_a_job_of_before_has_waited_since_it_was_made_and_has_no_trace(database_url: str) -> None:
    database = Database(database_url)
    _to(database, "0007", EARLIER_JOB)
    before = _indexes(database)
    migrating.migrate(database)
    with database.read() as session:
        row = session.get_one(JobRow, "job_1")
        assert (row.queued_at, row.trace) == (7.5, None)
    assert _indexes(database) == before | {"ix_jobs_waiting"}
    _to(database, "-0007")
    assert _indexes(database) == before
    database.close()
