"""How a database would carry out the statements that a piece of code sends: by an index, or by reading whole tables.

Plans are asked of the database itself (EXPLAIN), so nothing here depends on time or on the number of rows.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext

from models_store.database.engine import Database

_TELLING: Final = ("SELECT", "UPDATE", "DELETE", "WITH")
# With no rows at all PostgreSQL would read them all. What it does when it should not, it does because it must.
_AS_WITH_MANY_ROWS: Final = ("enable_seqscan", "enable_sort", "enable_bitmapscan", "enable_incremental_sort")
_STEP: Final = re.compile(
    r"(SCAN|SEARCH) (?P<table>\w+)"
    r"(?: USING (?:COVERING )?(?:INDEX )?(?P<index>[\w ]+?))?(?: \((?P<by>.+)\))?(?: LEFT-JOIN)?$"
)
_NO_COLUMN: Final = re.compile(r"'[^']*'(::[\w ]+)?|::[a-z ]+|\b(AND|ROW|ANY|rowid)\b")


def of(database: Database, work: Callable[[], object]) -> list[str]:
    """The steps of every statement that ``work`` sends.

    As in ``SEARCH jobs BY ix_jobs_owner (owner, id)`` with the columns that are searched by, ``SCAN jobs BY
    ix_jobs_shown`` for the index as it lies, ``SCAN jobs`` for the table, ``SORT``.
    """
    with _sent(database) as statements:
        work()
    explain = _sqlite if database.engine.dialect.name == "sqlite" else _postgresql
    with database.engine.connect() as connection:
        return [step for statement, given in statements for step in explain(connection, statement, given)]


@contextmanager
def _sent(database: Database) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def note(
        _connection: Connection, _cursor: DBAPICursor, statement: str, given: Any, _c: ExecutionContext, _many: bool
    ) -> None:
        if statement.startswith(_TELLING):
            statements.append((statement, given))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def _sqlite(connection: Connection, statement: str, given: Any) -> Iterator[str]:
    for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given):
        step = _STEP.match(row.detail)
        if row.detail.startswith("USE TEMP"):
            yield "SORT"
        elif step is not None and row.detail != "SCAN CONSTANT ROW":
            yield _told(step["table"], step["index"], step["by"] or "")


def _postgresql(connection: Connection, statement: str, given: Any) -> Iterator[str]:
    for setting in _AS_WITH_MANY_ROWS:
        connection.exec_driver_sql(f"SET LOCAL {setting} = off")
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", given).scalar_one()
    whole = json.loads(plan) if isinstance(plan, str) else plan
    yield from _steps(whole[0]["Plan"])


def _steps(node: dict[str, Any]) -> Iterator[str]:
    kind, table = node["Node Type"], node.get("Relation Name")
    if "Sort" in kind:
        yield "SORT"
    if table is not None and kind.endswith("Scan"):
        yield _told(table, node.get("Index Name"), node.get("Index Cond", ""))
    for part in node.get("Plans", ()):
        yield from _steps(part)


def _told(table: str, index: str | None, condition: str) -> str:
    columns = dict.fromkeys(re.findall(r"[a-z_]+", _NO_COLUMN.sub("", condition)))
    by = f" BY {index}" if index else ""
    return f"SEARCH {table}{by} ({', '.join(columns)})" if condition else f"SCAN {table}{by}"
