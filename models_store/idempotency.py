"""``Idempotency-Key``: the same key and body stand for the same object."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from models_store.database.engine import now
from models_store.database.tables import IdempotencyRow
from models_store.errors import InvalidError

_INSERT: dict[str, Callable[[type[IdempotencyRow]], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@dataclass(frozen=True)
class Repeat:
    """A client's key, and the hash of the body that it was sent with."""

    key: str
    body_sha256: str


def reserve(session: Session, owner: str, route: str, repeat: Repeat | None, object_id: str) -> str | None:
    """Let the key stand for ``object_id``, unless it stands for another already.

    Returns:
        The id that the key stood for before, or None: then the caller creates ``object_id`` in this transaction.

    Raises:
        InvalidError: ``idempotency_mismatch``, the key was used with another body.
    """
    if repeat is None:
        return None
    insert = _INSERT[session.get_bind().dialect.name](IdempotencyRow)
    mine = {"owner": owner, "route": route, "key": repeat.key, "body_sha256": repeat.body_sha256}
    session.execute(insert.values(**mine, object_id=object_id, created_at=now()).on_conflict_do_nothing())
    row = session.scalars(select(IdempotencyRow).filter_by(owner=owner, route=route, key=repeat.key)).one()
    if row.body_sha256 != repeat.body_sha256:
        raise InvalidError(
            "idempotency_mismatch", "This Idempotency-Key was used with another body. Use a new key for a new request."
        )
    return None if row.object_id == object_id else row.object_id


def forget(session: Session, object_id: str) -> None:
    """Let every key that stood for an object stand for nothing: the object is being deleted, and keys are texts."""
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.object_id == object_id))
