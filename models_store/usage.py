"""What an owner has in the store, by its rows: told by ``GET /usage``, and held to the owner's quota."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from models_store.database.tables import ACTIVE, CheckpointRow, DatasetRow, JobRow, ModelRow
from models_store.errors import TooManyError

Stored = type[DatasetRow] | type[CheckpointRow] | type[ModelRow]
_STORED: Final[Mapping[str, Stored]] = {
    "datasets": DatasetRow,
    "checkpoints": CheckpointRow,
    "models": ModelRow,
}
"""Kind → table of objects that take room: ``owner``, ``bytes``."""
_RETRY_SECONDS: Final = 60


@dataclass(frozen=True)
class Kind:
    """Objects of one kind: how many, and their bytes."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Usage:
    """What one owner has."""

    owner: str
    datasets: Kind
    checkpoints: Kind
    models: Kind
    active_jobs: int
    """Queued and running, imports included."""

    @property
    def stored_bytes(self) -> int:
        """What counts against the quota."""
        return self.datasets.bytes + self.checkpoints.bytes + self.models.bytes


def _stored_bytes() -> Select[Any]:
    """Built once, as it is asked at every job that is posted."""
    sums = (select(func.sum(table.bytes)).where(table.owner == bindparam("owner")) for table in _STORED.values())
    return select(*(func.coalesce(one.scalar_subquery(), 0) for one in sums))


_STORED_BYTES: Final = _stored_bytes()


def stored_bytes(reading: Session | Connection, owner: str) -> int:
    """Bytes of all that this owner has stored; an upload counts from its acceptance on."""
    return sum(map(int, reading.execute(_STORED_BYTES, {"owner": owner}).one()))


@dataclass(frozen=True)
class Room:
    """What an owner had stored when it was looked up, and the quota; 0 as ``most``: there is none."""

    stored: int = 0
    most: int = 0

    def check(self, coming: int) -> None:
        """Refuse so many more bytes if they pass the quota.

        Raises:
            TooManyError: ``storage_quota``.
        """
        if self.most and coming > 0 and self.stored + coming > self.most:
            message = (
                f"You have {self.stored:,} of at most {self.most:,} bytes, and this has no room beside them. "
                "Delete data sets, checkpoints or models (see GET /usage), or ask the operator for more."
            )
            raise TooManyError("storage_quota", message, retry_after=_RETRY_SECONDS)


def room(reading: Session | Connection, owner: str, most: int) -> Room:
    """The room that this owner has; nothing is summed up where there is no quota."""
    return Room(stored_bytes(reading, owner), most) if most else Room()


def of(session: Session, *, owner: str | None, limit: int, after: str | None = None) -> tuple[list[Usage], bool]:
    """Usage by owner, by name, of those after ``after``; of one owner alone if given. And whether there are more."""
    kinds = {kind: _kinds(session, table, owner, after) for kind, table in _STORED.items()}
    active = select(JobRow.owner, func.count()).where(ACTIVE, *_among(JobRow.owner, owner, after))
    jobs = {name: int(count) for name, count in session.execute(active.group_by(JobRow.owner))}
    names = sorted({*jobs, *(name for found in kinds.values() for name in found), *([owner] if owner else [])})
    rows = [
        Usage(name, **{kind: found.get(name, Kind()) for kind, found in kinds.items()}, active_jobs=jobs.get(name, 0))
        for name in names[:limit]
    ]
    return rows, len(names) > limit


def _kinds(session: Session, table: Stored, owner: str | None, after: str | None) -> dict[str, Kind]:
    query = select(table.owner, func.count(), func.sum(table.bytes)).where(*_among(table.owner, owner, after))
    return {name: Kind(count, int(size)) for name, count, size in session.execute(query.group_by(table.owner))}


def _among(column: InstrumentedAttribute[str], owner: str | None, after: str | None) -> list[ColumnElement[bool]]:
    """That an owner is the wanted one, and comes after those that are known."""
    return [*([column == owner] if owner else []), *([column > after] if after else [])]
