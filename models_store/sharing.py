"""Whose job is next: the highest priority, then the owner who has least; see docs/decisions/0012.

Nothing is counted beside the jobs' own rows, so nothing can drift from them: what an owner has running and when it was
served last is read from indexes at every claim. The queue is walked by its distinct needs, priorities and owners, one
index search each, never by its jobs. The statements are built once, which takes longer than to carry them out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from models_store import jobs
from models_store.database.tables import QUEUED, RUNNING, SERVED, DatasetRow, JobRow
from models_store.labels import Labels, meets
from models_store.spec import HIGHEST

_LANE: Final = JobRow.lane == bindparam("lane")
_NEED: Final = JobRow.requires == bindparam("need")
_PRIORITY: Final = JobRow.priority == bindparam("priority")
_OWNER: Final = JobRow.owner == bindparam("owner")


@dataclass(frozen=True)
class _Turn:
    """An owner with jobs in the queue, and what it has had."""

    owner: str
    running: int
    served_at: float

    @property
    def place(self) -> tuple[int, float, str]:
        """The least comes first."""
        return self.running, self.served_at, self.owner


def next_job(session: Session, lane: str, labels: Labels) -> str | None:
    """The job that a worker with these labels has to take now, or None; locked where the database locks rows.

    A job whose data set is still being imported stays in the queue, and so does one that another worker is taking.
    """
    runnable = [need for need in needs(session, lane) if meets(labels, need)]
    for priority in _priorities(session, lane, runnable):
        for owner, waiting in _in_turn(session, lane, runnable, priority):
            given = {"lane": lane, "priority": priority, "owner": owner}
            heads = [session.scalar(_FIRST, {**given, "need": need}) for need in waiting]
            found = min((head for head in heads if head is not None), default=None)
            if found is not None:
                return found
    return None


def needs(session: Session, lane: str) -> list[str]:
    """The distinct needs of a lane's queued jobs."""
    return list(session.scalars(_NEEDS, {"lane": lane}))


def _priorities(session: Session, lane: str, runnable: Sequence[str]) -> Iterator[int]:
    """The priorities of jobs in the queue, highest first, found as they are asked for."""
    below = HIGHEST + 1
    while found := [top for need in runnable if (top := _top(session, lane, need, below)) is not None]:
        below = max(found)
        yield below


def _top(session: Session, lane: str, need: str, below: int) -> int | None:
    return session.scalar(_TOP, {"lane": lane, "need": need, "below": below})


def _in_turn(session: Session, lane: str, runnable: Sequence[str], priority: int) -> Iterator[tuple[str, list[str]]]:
    """Owners with jobs of a priority, the one who has least first, each with the needs of these jobs."""
    waiting: dict[str, list[str]] = {}
    turns: dict[str, _Turn] = {}
    for need in runnable:
        for owner, running, at in session.execute(_OWNERS, {"lane": lane, "need": need, "priority": priority}):
            waiting.setdefault(owner, []).append(need)
            turns[owner] = _Turn(owner, running, at or 0.0)
    yield from ((turn.owner, waiting[turn.owner]) for turn in sorted(turns.values(), key=lambda turn: turn.place))


def _distinct(column: InstrumentedAttribute[str], *where: ColumnElement[bool]) -> ColumnElement[str]:
    """Every value of a column among queued jobs: the least, then the least above it, and so on."""
    found = select(_least(column, *where).label("value")).cte("found", recursive=True)
    above = select(_least(column, *where, column > found.c.value)).where(found.c.value.is_not(None))
    walk = found.union_all(above)
    return select(walk.c.value).where(walk.c.value.is_not(None)).subquery("distinct_values").c.value


def _least(column: InstrumentedAttribute[str], *where: ColumnElement[bool]) -> ColumnElement[str]:
    return select(column).where(QUEUED, *where).order_by(column).limit(1).scalar_subquery()


def _owners() -> Select[Any]:
    """Owners with queued jobs, what each has running in the lane, and when it was served there last."""
    owner = _distinct(JobRow.owner, _LANE, _NEED, _PRIORITY)
    running = select(func.count()).select_from(JobRow).where(RUNNING, _LANE, JobRow.owner == owner)
    served = select(JobRow.claimed_at).where(SERVED, _LANE, JobRow.owner == owner)
    last = served.order_by(JobRow.claimed_at.desc()).limit(1)
    return select(owner, running.scalar_subquery(), last.scalar_subquery())


def _first() -> Select[str]:
    """An owner's oldest job that may run."""
    ready = or_(JobRow.kind == jobs.IMPORT, DatasetRow.status.is_(None), DatasetRow.status != "processing")
    joined = select(JobRow.id).outerjoin(DatasetRow, DatasetRow.id == JobRow.dataset_id)
    oldest = joined.where(QUEUED, _LANE, _NEED, _PRIORITY, _OWNER, ready).order_by(JobRow.id).limit(1)
    return oldest.with_for_update(skip_locked=True, of=JobRow)


_NEEDS: Final = select(_distinct(JobRow.requires, _LANE))
_TOP: Final = (
    select(JobRow.priority)
    .where(QUEUED, _LANE, _NEED, JobRow.priority < bindparam("below"))
    .order_by(JobRow.priority.desc())
    .limit(1)
)
_OWNERS: Final = _owners()
_FIRST: Final = _first()
