"""What goes by its age, where the operator wants it so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finetuned_test_plugins import Tiny
from sqlalchemy import func, select, update

from models_store import aliases, leases, registry, retention
from models_store.database.engine import Database
from models_store.database.tables import AuditRow, CheckpointRow, DatasetRow, JobRow, ModelRow
from models_store.settings import StoreSettings
from tests.models_store.kept import keep_checkpoint
from tests.models_store.rows import claimed, queued_job, ready_dataset
from tests.models_store.test_aliases import ADMIN, publish

_DAY = 86_400.0
Row = type[DatasetRow] | type[CheckpointRow] | type[JobRow] | type[ModelRow] | type[AuditRow]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., StoreSettings]:
    """Settings of a folder of its own, with these limits."""
    return lambda **limits: StoreSettings(data_dir=tmp_path, **limits)


def _aged(database: Database, table: Row, days: float, **only: Any) -> None:
    """Make rows as old as that."""
    column = "finished_at" if table is JobRow else "created_at"
    with database.write() as session:
        now = session.scalar(select(func.max(getattr(table, column)))) or 0.0
        session.execute(update(table).filter_by(**only).values({column: now - days * _DAY}))


def _left(database: Database, table: Row) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(table.id).order_by(table.id)))


def _ended_job(database: Database, dataset: str = "ds_none") -> str:
    job = queued_job(database, dataset)
    leases.cancelled(database, claimed(database))
    return job


def test_without_limits_nothing_goes_however_old(database: Database, settings: Callable[..., StoreSettings]) -> None:
    ready_dataset(database)
    _ended_job(database)
    publish(database, "mdl_1")
    for table in (DatasetRow, JobRow, ModelRow):
        _aged(database, table, 10_000)
    before = [_left(database, table) for table in (DatasetRow, JobRow, ModelRow)]
    retention.apply(database, settings())
    assert [_left(database, table) for table in (DatasetRow, JobRow, ModelRow)] == before


def test_only_what_is_older_goes(database: Database, settings: Callable[..., StoreSettings]) -> None:
    old, young = ready_dataset(database, fingerprint="sha256:aa"), ready_dataset(database, fingerprint="sha256:bb")
    _aged(database, DatasetRow, 8, id=old)
    _aged(database, DatasetRow, 6, id=young)
    retention.apply(database, settings(retain_datasets_days=7))
    assert _left(database, DatasetRow) == [young]


def test_files_go_with_the_rows(database: Database, settings: Callable[..., StoreSettings]) -> None:
    limits = settings(retain_datasets_days=1, retain_models_days=1)
    ready_dataset(database, fingerprint="sha256:aa")
    publish(database, "mdl_1")
    folders = [limits.store_dir / "datasets" / "aa", registry.directory(limits.store_dir, "mdl_1")]
    for folder in folders:
        folder.mkdir(parents=True)
    _aged(database, DatasetRow, 2)
    _aged(database, ModelRow, 2)
    retention.apply(database, limits)
    assert [folder.exists() for folder in folders] == [False, False]


def test_what_a_job_that_has_not_ended_needs_stays(database: Database, settings: Callable[..., StoreSettings]) -> None:
    dataset = ready_dataset(database)
    queued_job(database, dataset)
    _aged(database, DatasetRow, 100)
    retention.apply(database, settings(retain_datasets_days=1))
    assert _left(database, DatasetRow) == [dataset]


def test_a_checkpoint_goes_by_its_age_too(database: Database, settings: Callable[..., StoreSettings]) -> None:
    limits = settings(retain_checkpoints_days=1)
    row = keep_checkpoint(database, limits.store_dir, dict(Tiny().state_dict()), "plugin/tiny")
    _aged(database, CheckpointRow, 2)
    retention.apply(database, limits)
    assert _left(database, CheckpointRow) == []
    assert not (limits.store_dir / "checkpoints" / row.id).exists()


def test_a_model_with_an_alias_stays_and_the_others_go(
    database: Database, settings: Callable[..., StoreSettings]
) -> None:
    for model in ("mdl_1", "mdl_2"):
        publish(database, model)
    aliases.move(database, "mdl_1", "production", caller=ADMIN)
    _aged(database, ModelRow, 100)
    retention.apply(database, settings(retain_models_days=1))
    assert _left(database, ModelRow) == ["mdl_1"]


def test_a_job_counts_from_its_end_and_one_that_has_none_stays(
    database: Database, settings: Callable[..., StoreSettings]
) -> None:
    ended = _ended_job(database)
    queued = queued_job(database)
    _aged(database, JobRow, 100, id=ended)
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == queued).values(created_at=1.0))
    retention.apply(database, settings(retain_ended_jobs_days=1))
    assert _left(database, JobRow) == [queued]


def test_the_import_of_a_data_set_is_no_job_that_retention_takes(
    database: Database, settings: Callable[..., StoreSettings]
) -> None:
    ready_dataset(database)
    _aged(database, JobRow, 100)
    before = _left(database, JobRow)
    retention.apply(database, settings(retain_ended_jobs_days=1))
    assert _left(database, JobRow) == before != []


def test_the_audit_log_tells_what_retention_took_until_its_own_time_is_over(
    database: Database, settings: Callable[..., StoreSettings]
) -> None:
    dataset = ready_dataset(database)
    _aged(database, DatasetRow, 2)
    retention.apply(database, settings(retain_datasets_days=1, retain_audit_days=30))
    with database.read() as session:
        entry = session.scalars(select(AuditRow)).one()
    assert (entry.actor, entry.role, entry.action, entry.object) == (
        "finetuned",
        "service",
        "dataset.deleted",
        dataset,
    )
    _aged(database, AuditRow, 31)
    retention.apply(database, settings(retain_audit_days=30))
    assert _left(database, AuditRow) == []


def test_what_does_not_go_holds_up_nothing_else(
    database: Database, settings: Callable[..., StoreSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much of it there is: of the oldest so many are looked at in a round."""
    monkeypatch.setattr(retention, "_AT_ONCE", 1)
    needed, free = ready_dataset(database, fingerprint="sha256:aa"), ready_dataset(database, fingerprint="sha256:bb")
    queued_job(database, needed)
    _aged(database, DatasetRow, 100, id=needed)
    _aged(database, DatasetRow, 50, id=free)
    retention.apply(database, settings(retain_datasets_days=1))
    assert _left(database, DatasetRow) == [needed]
