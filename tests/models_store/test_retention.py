"""What is deleted by its age: only where the operator wants it, and nothing that is in use."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from models_store import audit, jobs, leases, retention
from models_store.database.engine import Database
from models_store.database.tables import AliasRow, AuditRow, CheckpointRow, DatasetRow, JobRow, ModelRow
from models_store.settings import StoreSettings
from tests.models_store.rows import claimed, queued_job, ready_dataset
from tests.models_store.test_checkpoints import kept, using
from tests.models_store.test_leases import publishing

_ALL = {f"retain_{what}_days": 30 for what in ("ended_jobs", "datasets", "models", "checkpoints", "audit")}
_TABLES = (JobRow, DatasetRow, ModelRow, CheckpointRow)
_DAY = 86_400.0


def _published(database: Database) -> tuple[str, str]:
    """A job that has succeeded, and its model."""
    job = queued_job(database)
    claim = claimed(database)
    leases.succeed(database, claim, publishing(claim))
    with database.read() as session:
        return job, session.scalars(select(ModelRow.id).where(ModelRow.job_id == job)).one()


def _age(database: Database, days: float) -> None:
    """Let everything be so much older."""
    with database.write() as session:
        for table in _TABLES:
            session.execute(update(table).values(created_at=table.created_at - days * _DAY))
        session.execute(update(JobRow).values(finished_at=JobRow.finished_at - days * _DAY))
        session.execute(update(AuditRow).values(created_at=AuditRow.created_at - days * _DAY))


def _left(database: Database) -> set[str]:
    with database.read() as session:
        return {one for table in _TABLES for one in session.scalars(select(table.id))}


def _applied(database: Database, folder: Path, **days: Any) -> None:
    retention.apply(database, StoreSettings(data_dir=folder, **days))


@pytest.fixture
def everything(database: Database, tmp_path: Path) -> set[str]:
    """One of each, with what belongs to it."""
    ready_dataset(database)
    _published(database)
    kept(database, StoreSettings(data_dir=tmp_path).store_dir)
    return _left(database)


def test_without_settings_everything_is_kept(database: Database, tmp_path: Path, everything: set[str]) -> None:
    _age(database, 10_000)
    _applied(database, tmp_path)
    assert _left(database) == everything


def test_what_is_younger_stays_and_what_is_older_goes(database: Database, tmp_path: Path, everything: set[str]) -> None:
    _age(database, 29)
    _applied(database, tmp_path, **_ALL)
    assert _left(database) == everything
    with database.read() as session:
        internal = set(session.scalars(select(JobRow.id).where(JobRow.kind.in_(jobs.INTERNAL))))
    _age(database, 2)
    _applied(database, tmp_path, **_ALL)
    assert _left(database) <= internal
    with database.read() as session:
        told = set(session.scalars(select(AuditRow.object).where(AuditRow.actor == audit.SERVICE.name)))
    assert told == everything - internal


def test_only_what_is_old_and_unused_is_deleted_by_its_age(database: Database, tmp_path: Path) -> None:
    store = StoreSettings(data_dir=tmp_path).store_dir
    used_set, used_checkpoint = ready_dataset(database), kept(database, store).id
    waiting = queued_job(database, used_set), using(database, used_checkpoint)
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id.in_(waiting)).values(lane="light"))  # so that none is claimed
    _, model = _published(database)
    with database.write() as session:
        row = session.get_one(ModelRow, model)
        session.add(AliasRow(owner=row.owner, name=row.name, alias="production", model_id=model, moved_at=0.0))
    _age(database, 10_000)
    _applied(database, tmp_path, **_ALL)
    assert {used_set, used_checkpoint, *waiting, model} <= _left(database)


def test_old_entries_of_the_audit_log_go_by_their_own_age(database: Database, tmp_path: Path) -> None:
    dataset = ready_dataset(database)
    _age(database, 31)
    _applied(database, tmp_path, retain_datasets_days=30)

    def entries() -> list[str]:
        with database.read() as session:
            return list(session.scalars(select(AuditRow.object)))

    assert entries() == [dataset]
    _applied(database, tmp_path, retain_audit_days=30)
    assert entries() == [dataset]
    _age(database, 31)
    _applied(database, tmp_path, retain_audit_days=30)
    assert entries() == []
