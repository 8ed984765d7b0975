"""Rows of published models: an immutable directory each, versions counted by name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models_store import audit
from models_store.database.engine import Database, now
from models_store.database.tables import Json, ModelRow
from models_store.errors import NotFoundError
from models_store.paging import newest
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage


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


def confirm(database: Database, model_id: str) -> None:
    """For who has found a model's row and then none of its files: wait until a deletion that is under way has ended.

    A deletion hides the files before its transaction ends, so the row may be seen longer than they are.

    Raises:
        NotFoundError: the model was deleted.
    """
    with database.write() as session:
        if session.scalar(select(ModelRow.id).where(ModelRow.id == model_id).with_for_update()) is None:
            raise unknown(model_id)


def unknown(ref: str) -> NotFoundError:
    """The error for a reference that fits no model that the caller sees."""
    return NotFoundError("model_not_found", f"There is no model {ref!r}. List yours with GET /models.", param="model")


def page(
    session: Session, *, owner: str | None, limit: int, after: str | None = None, name: str | None = None
) -> tuple[Sequence[ModelRow], bool]:
    """The newest models after ``after``, of one name if given, and whether there are more."""
    filters = {ModelRow.owner: owner, ModelRow.name: name}
    wanted = {column: value for column, value in filters.items() if value is not None}
    return newest(session, select(ModelRow), ModelRow.id, limit=limit, after=after, where=wanted)


def delete(
    database: Database,
    store_dir: Path,
    model_id: str,
    *,
    owner: str | None,
    by: audit.Actor = audit.SERVICE,
    storage: Storage = LOCAL,
) -> str:
    """Delete a model with its aliases and its directory.

    Returns:
        The name of its trunk, which may be shared: see :mod:`models_store.unused_trunks`.
    """
    with storage.removal() as take, database.write() as session:
        row = get(session, model_id, owner=owner)
        audit.record(session, by, "model.deleted", model_id, owner=row.owner)
        session.delete(row)
        session.flush()
        take(directory(store_dir, model_id))
    return row.trunk


def unpublished(session: Session, store_dir: Path) -> dict[Path, dict[str, Any]]:
    """The folders of bundles that no row names, and their cards; of those that rows name there may be thousands."""
    published = set(session.scalars(select(ModelRow.id)))
    folder = store_dir / "models"
    there = folder.iterdir() if folder.is_dir() else ()
    bundles = (path for path in there if path.is_dir() and not path.name.startswith("."))
    return {path: _card(path) for path in bundles if path.name not in published}


def directory(store_dir: Path, model_id: str) -> Path:
    """Where the bundle of a model lies."""
    return store_dir / "models" / model_id


def _card(bundle: Path) -> dict[str, Any]:
    """What a bundle says of itself; nothing where that cannot be read."""
    try:
        card: dict[str, Any] = json.loads((bundle / "card.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return card
