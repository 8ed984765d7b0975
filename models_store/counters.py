"""Counts of what all processes together have done, for ``/metrics``: they outlive the jobs and the processes.

A worker counts in rows of its own, so that no claim waits for another's. When a worker has gone its counts go to
everybody's, in the same transaction: the sums never fall.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from sqlalchemy import BindParameter, Insert, Table, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from models_store.database.engine import Database
from models_store.database.tables import CounterRow, WorkerRow

ATTEMPTS: Final = "attempts"
"""That were begun, by kind of job."""
EXPIRED: Final = "leases_expired"
"""By kind of job."""
FEATURES: Final = "features"
"""That jobs needed, by where they came from: ``cache`` or ``computed``."""
_EVERYBODY: Final = ""


def add(session: Session, name: str, label: str, amount: int = 1, *, by: str = _EVERYBODY) -> None:
    """Count in the session's transaction; ``label`` is one of a few."""
    row = {"name": name, "label": label, "counted_by": by, "value": amount}
    session.connection().execute(_ADDING[session.get_bind().dialect.name], row)


def totals(session: Session) -> Mapping[tuple[str, str], int]:
    """By name and label."""
    summed = select(CounterRow.name, CounterRow.label, func.sum(CounterRow.value))
    found = session.execute(summed.group_by(CounterRow.name, CounterRow.label))
    return {(name, label): int(value) for name, label, value in found}


def settle(database: Database) -> None:
    """Hand over what workers have counted that are forgotten by now."""
    with database.write() as session:
        others = delete(CounterRow).where(
            CounterRow.counted_by != _EVERYBODY, CounterRow.counted_by.not_in(select(WorkerRow.id))
        )
        left = session.execute(others.returning(CounterRow.name, CounterRow.label, CounterRow.value))
        for name, label, value in sorted(left.all()):  # the same order everywhere: no deadlock
            add(session, name, label, value)


def _adding(insert: type[sqlite.Insert] | type[postgresql.Insert]) -> Insert:
    table = cast(Table, CounterRow.__table__)
    given: dict[str, BindParameter[Any]] = {column.name: bindparam(column.name) for column in table.columns}
    new = insert(table).values(given)
    return new.on_conflict_do_update(
        index_elements=[*table.primary_key], set_={"value": table.c.value + new.excluded["value"]}
    )


_ADDING: Final[Mapping[str, Insert]] = {
    "sqlite": _adding(sqlite.Insert),
    "postgresql": _adding(postgresql.Insert),
}
