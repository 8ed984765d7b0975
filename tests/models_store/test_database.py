"""Transactions mean the same on both databases."""

import pytest
from sqlalchemy import select, text, update

from models_store.database.engine import Database
from models_store.database.tables import JobRow
from tests.models_store.rows import queued_job

NAMES = select(JobRow.name)


def test_a_glance_sees_what_was_committed_and_leaves_no_transaction_behind(database: Database) -> None:
    queued_job(database)
    with database.glance() as connection:
        connection.execute(NAMES).scalar_one()
        with database.write() as session:
            session.execute(update(JobRow).values(name="renamed"))
        assert connection.execute(NAMES).scalar_one() == "renamed"  # within a transaction it could be the old name


def test_who_reads_and_who_writes_after_a_glance_have_transactions_again(database: Database) -> None:
    queued_job(database)
    for _ in range(3):  # of a pool: whatever connection comes
        with database.glance() as connection:
            connection.execute(text("SELECT 1"))
        with database.read() as session:
            before = session.scalar(NAMES)
            with database.write() as other:
                other.execute(update(JobRow).values(name=JobRow.name + "x"))
            if database.has_one_writer:  # a snapshot; PostgreSQL's is one of each statement
                assert session.scalar(NAMES) == before
        with pytest.raises(KeyError), database.write() as session:
            session.execute(update(JobRow).values(name="lost"))
            raise KeyError
        with database.read() as session:
            assert session.scalar(NAMES) == f"{before}x"
