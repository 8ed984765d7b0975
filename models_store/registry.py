"""Rows of published models: an immutable directory each, versions counted by name."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models_store.database.engine import Database, now
from models_store.database.tables import Json, ModelRow
from models_store.errors import NotFoundError
from models_store.paging import newest


@dataclass(frozen=True)
class NewModel:
    """A bundle whose directory is complete and durable."""

    id: str
    owner: str
    name: str
    job_id: str
    dataset_id: str
    task: str
    backbone: str
    trunk: str
    card: Json
    bytes: int


def publish(session: Session, new: NewModel) -> ModelRow:
    """Insert the model as the next version of its name; part of the transaction that ends its job."""
    versions = select(func.max(ModelRow.version)).where(ModelRow.owner == new.owner, ModelRow.name == new.name)
    row = ModelRow(**vars(new), version=(session.scalar(versions) or 0) + 1, created_at=session.scalar(select(now())))
    session.add(row)
    session.flush()
    return row


def get(session: Session, model_id: str, *, owner: str | None) -> ModelRow:
    """Read one model; ``owner=None`` is an admin's view.

    Raises:
        NotFoundError: no such model, or somebody else's.
    """
    row = None if "\0" in model_id else session.get(ModelRow, model_id)  # PostgreSQL refuses such a text
    if row is None or (owner is not None and row.owner != owner):
        raise unknown(model_id)
    return row


def unknown(ref: str) -> NotFoundError:
    """The error for a reference that fits no model that the caller sees."""
    return NotFoundError("model_not_found", f"There is no model {ref!r}. List yours with GET /models.", param="model")


def page(
    session: Session, *, owner: str | None, limit: int, after: str | None = None
) -> tuple[Sequence[ModelRow], bool]:
    """The newest models after ``after``, and whether there are more."""
    mine = {} if owner is None else {ModelRow.owner: owner}
    return newest(session, select(ModelRow), ModelRow.id, limit=limit, after=after, where=mine)


def delete(database: Database, store_dir: Path, model_id: str, *, owner: str | None) -> None:
    """Delete a model: its row and aliases first, so that nobody finds it, then its directory. Trunks may be shared."""
    with database.write() as session:
        session.delete(get(session, model_id, owner=owner))
    shutil.rmtree(directory(store_dir, model_id), ignore_errors=True)


def directory(store_dir: Path, model_id: str) -> Path:
    """Where the bundle of a model lies."""
    return store_dir / "models" / model_id
