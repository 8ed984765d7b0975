"""Rows of data sets. Their content is an item set (:mod:`models_store.itemset`) under the fingerprint's name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from models_store import audit, idempotency, ids, jobs, traces, usage
from models_store.database.engine import Database, now
from models_store.database.tables import ACTIVE, DatasetRow, JobRow, Json
from models_store.errors import ConflictError, NotFoundError
from models_store.paging import newest
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage


@dataclass(frozen=True)
class NewDataset:
    """An upload that was received whole."""

    owner: str
    name: str
    options: Json
    """``filename``, ``task`` (or None), ``validation_fraction``, ``seed``, ``split`` (given, grouped)."""
    upload: str
    """Name of the file in the uploads folder."""
    upload_sha256: str
    upload_bytes: int


def create(
    database: Database, new: NewDataset, repeat: idempotency.Repeat | None = None, *, max_stored: int = 0
) -> tuple[DatasetRow, JobRow | None]:
    """Insert a processing data set and the job that imports it, in one transaction.

    Returns:
        The row, and its import job; None where ``repeat`` stood for an earlier data set.

    Raises:
        TooManyError: ``storage_quota``, its owner would have more than ``max_stored`` bytes.
    """
    dataset_id = ids.new("ds")
    with database.write() as session:
        known = idempotency.reserve(session, new.owner, "datasets", repeat, dataset_id)
        if known is not None:
            return get(session, known, owner=new.owner), None
        usage.room(session, new.owner, max_stored).check(new.upload_bytes)
        row = DatasetRow(
            id=dataset_id,
            owner=new.owner,
            name=new.name,
            status="processing",
            task=new.options.get("task"),
            options=new.options,
            upload=new.upload,
            upload_sha256=new.upload_sha256,
            classes=[],
            splits={"train": 0, "validation": 0, "test": 0},
            bytes=new.upload_bytes,
            problems=[],
            warnings=[],
            created_at=session.scalar(select(now())),
        )
        session.add(row)
        session.flush()
        work = jobs.NewJob(kind=jobs.IMPORT, owner=new.owner, name=new.name, dataset_id=dataset_id)
        return row, jobs.insert(session, work)


def get(session: Session, dataset_id: str, *, owner: str | None, with_problems: bool = True) -> DatasetRow:
    """Read one data set; ``owner=None`` is an admin's view.

    Of the problems and warnings there may be a hundred thousand; whoever does not need them leaves them unread.

    Raises:
        NotFoundError: no such data set, or somebody else's.
    """
    unread = () if with_problems else (defer(DatasetRow.problems), defer(DatasetRow.warnings))
    row = session.get(DatasetRow, dataset_id, options=unread)
    if row is None or (owner is not None and row.owner != owner):
        raise NotFoundError(
            "dataset_not_found", f"There is no data set {dataset_id!r}. List yours with GET /datasets.", param="dataset"
        )
    return row


def page(
    session: Session, *, owner: str | None, limit: int, after: str | None = None
) -> tuple[Sequence[DatasetRow], bool]:
    """The newest data sets after ``after``, and whether there are more."""
    mine = {} if owner is None else {DatasetRow.owner: owner}
    return newest(session, select(DatasetRow), DatasetRow.id, limit=limit, after=after, where=mine)


def mark_ready(session: Session, dataset_id: str, **columns: Any) -> None:
    """Store what the import found; part of the transaction that ends the import job."""
    row = session.get_one(DatasetRow, dataset_id)
    row.status = "ready"
    row.upload = None
    for column, value in columns.items():
        setattr(row, column, value)


def delete(
    database: Database,
    store_dir: Path,
    dataset_id: str,
    *,
    owner: str | None,
    by: audit.Actor = audit.SERVICE,
    storage: Storage = LOCAL,
) -> None:
    """Delete a data set, what others keep of its items, and its content when no other data set has the same.

    Raises:
        ConflictError: ``dataset_in_use``, a queued or running job needs it.
    """
    if storage.shared:  # many requests, which are better not made in the transaction: there is little left to do in it
        with database.read() as session:
            get(session, dataset_id, owner=owner, with_problems=False)
            _check_unused(session, dataset_id)
            models = traces.models_of(session, dataset_id)
        traces.forget_reports(store_dir, models, storage)
    with storage.removal() as take, database.write() as session:
        row = get(session, dataset_id, owner=owner, with_problems=False)
        lock_content(session, row.fingerprint)
        _check_unused(session, dataset_id)
        audit.record(session, by, "dataset.deleted", dataset_id, owner=row.owner)
        session.delete(row)
        session.flush()
        traces.forget_dataset(session, store_dir, dataset_id, storage)
        # Inside the transaction: an import that finds the same content cannot publish it meanwhile.
        if row.fingerprint:
            traces.forget_content(session, store_dir, row.fingerprint, take)


def _check_unused(session: Session, dataset_id: str) -> None:
    user = session.scalar(select(JobRow.id).where(JobRow.dataset_id == dataset_id, ACTIVE).limit(1))
    if user is not None:
        raise ConflictError(
            "dataset_in_use", f"Job {user} still works with this data set. Cancel it or wait for its end."
        )


def directory(store_dir: Path, fingerprint: str) -> Path:
    """Where the item set with this fingerprint (``sha256:…``) lies."""
    return store_dir / "datasets" / fingerprint.removeprefix("sha256:")


def lock_content(session: Session, fingerprint: str | None) -> None:
    """Let whoever publishes or deletes equal content wait for each other until the transaction's end.

    So the last one that deletes it takes it away, and nobody names what is being taken. SQLite does so by itself.
    """
    if fingerprint is not None and session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(fingerprint, 0))))
