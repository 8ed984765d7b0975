"""Keyset paging: as fast on the last page as on the first, and steady while rows are added."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

Row = TypeVar("Row")
Column = InstrumentedAttribute[str]


def newest(
    session: Session,
    query: Select[Row],
    key: Column,
    *,
    limit: int,
    after: str | None,
    where: Mapping[Column, str] | None = None,
) -> tuple[Sequence[Row], bool]:
    """Up to ``limit`` rows below the id ``after``, newest first, and whether there are more.

    ``where`` has columns and what must be in them. With an index of these columns, in their order, and ``key``, a page
    is a stretch of that index, and it is asked for as one. As equal columns PostgreSQL would take any index that begins
    with the key, hoping to meet fitting rows soon: where all of them are old, it reads everybody's newer ones first.
    """
    columns, values = list(where or ()), list((where or {}).values())
    if columns:
        query = query.where(tuple_(*columns) >= values)
    if after is not None:
        query = query.where(tuple_(*columns, key) < [*values, after])
    elif columns:
        query = query.where(tuple_(*columns) <= values)
    rows = session.scalars(query.order_by(*(column.desc() for column in (*columns, key))).limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit
