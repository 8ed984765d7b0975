"""Keyset paging: as fast on the last page as on the first, and steady while rows are added."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")


def newest(
    session: Session, query: Select[Row], key: InstrumentedAttribute[str], *, limit: int, after: str | None
) -> tuple[Sequence[Row], bool]:
    """Up to ``limit`` rows below the id ``after``, newest first, and whether there are more."""
    if after is not None:
        query = query.where(key < after)
    rows = session.scalars(query.order_by(key.desc()).limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit
