"""Who did what, when, from which request: rows that no route changes, written in the transaction of the deed itself.

They hold ids, aliases, owners and names of weights, and nothing else of what a user has sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models_store import ids
from models_store.database.engine import Database, now, seconds_ago
from models_store.database.tables import AuditRow
from models_store.paging import newest

Action = Literal[
    "key.created",
    "key.revoked",
    "dataset.deleted",
    "checkpoint.deleted",
    "job.cancelled",
    "job.deleted",
    "model.deleted",
    "alias.moved",
    "alias.removed",
    "weights.added",
    "weights.removed",
]


@dataclass(frozen=True)
class Actor:
    """Who does something: owner and role of the key that was used, the request that it came with, and the key's id."""

    name: str
    role: str
    request_id: str | None = None
    key: str | None = None


SERVICE: Final = Actor("finetuned", "service")
"""The service itself: its first key, and what retention removes."""


def record(session: Session, by: Actor, action: Action, subject: str, *, owner: str | None) -> None:
    """Add an entry to the session's transaction: with it the deed is done, and the entry there, or neither.

    Args:
        subject: id of what it was done to; for an alias ``MODEL@ALIAS``, for weights ``BACKBONE:WEIGHTS``.
        owner: whose object that is; None where it is everybody's.
    """
    entry = AuditRow(
        id=ids.new("aud"),
        actor=by.name,
        role=by.role,
        key_id=by.key,
        action=action,
        object=subject,
        owner=owner or "",
        request_id=by.request_id,
        created_at=session.scalar(select(now())),
    )
    session.add(entry)


def page(
    session: Session, *, limit: int, after: str | None = None, owner: str | None = None, action: str | None = None
) -> tuple[Sequence[AuditRow], bool]:
    """The newest entries after ``after``, and whether there are more; of one owner's objects or one action if given."""
    filters = {AuditRow.owner: owner, AuditRow.action: action}
    wanted = {column: value for column, value in filters.items() if value is not None}
    return newest(session, select(AuditRow), AuditRow.id, limit=limit, after=after, where=wanted)


def forget(database: Database, *, older_than_seconds: float) -> None:
    """Delete old entries."""
    with database.write() as session:
        session.execute(delete(AuditRow).where(AuditRow.created_at < seconds_ago(older_than_seconds)))
