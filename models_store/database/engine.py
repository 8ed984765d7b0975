"""Connections to SQLite or PostgreSQL, with transactions that mean the same on both."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Float, create_engine, event, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from models_store.errors import DatabaseUnavailableError

BUSY_TIMEOUT_SECONDS = 5.0
_SCRUB_SECONDS = 0.1
"""Writers wait while the log is being cut off; it does not wait for readers longer than this."""


class now(FunctionElement[float]):  # noqa: N801 - it reads as the SQL function that it is
    """Seconds since 1970 by the database's clock: the only clock that leases believe."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(_element: now, _compiler: SQLCompiler, **_kw: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(_element: now, _compiler: SQLCompiler, **_kw: object) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def seconds_ago(seconds: float) -> ColumnElement[float]:
    """A moment before :class:`now`, read once a statement: PostgreSQL searches no index for what changes by the row."""
    return select(now() - seconds).scalar_subquery()


_SQLITE_CONNECTIONS = 100
"""That are kept: as many as threads may read at once. One costs little, opening it as much as ten readings."""
_CONNECTIONS = 15
"""To PostgreSQL, where each is a process of the server."""


class Database:
    """One engine; ``read()`` and ``write()`` give short sessions.

    A write on SQLite begins with ``BEGIN IMMEDIATE``, so that two processes never both read and then both write.

    Raises:
        DatabaseUnavailableError: (from either) the database cannot be reached or stays locked.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._writer = self.engine.execution_options(finetuned_write=True)
        autocommit = {"finetuned_autocommit": True} if self.has_one_writer else {"isolation_level": "AUTOCOMMIT"}
        self._glancer = self.engine.execution_options(**autocommit)

    @property
    def has_one_writer(self) -> bool:
        """Whether all writers wait for each other, as on SQLite."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; rolled back at the end."""
        with _translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """For one statement that reads: without a transaction and objects it is a quarter of the work."""
        with _translated(), self._glancer.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back if the block raises."""
        with _translated(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def scrub(self) -> None:
        """SQLite: cut off the write-ahead log, in which pages stay readable as they were before a deletion.

        Best effort: who reads at this moment keeps the log, and the next time cuts it off. PostgreSQL cleans up after
        itself (``VACUUM``). See https://www.sqlite.org/pragma.html#pragma_wal_checkpoint
        """
        if not self.has_one_writer or self.engine.url.database is None:
            return
        opened = closing(sqlite3.connect(self.engine.url.database, timeout=_SCRUB_SECONDS))
        with contextlib.suppress(sqlite3.OperationalError), opened as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give every pooled connection back."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() == "sqlite":
        options = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        engine = create_engine(url, connect_args=options, pool_size=_SQLITE_CONNECTIONS)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        url, pool_pre_ping=True, pool_size=_CONNECTIONS, max_overflow=0, connect_args={"connect_timeout": 5}
    )


def _configure_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    raw: Any = connection
    raw.isolation_level = None  # the driver must not begin transactions on its own: _begin_sqlite does
    # secure_delete: what is deleted is overwritten with zeros, not only forgotten
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        raw.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("finetuned_autocommit", False):  # the driver has no transaction of its own; see _configure_sqlite
        return
    write = options.get("finetuned_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise DatabaseUnavailableError from error
