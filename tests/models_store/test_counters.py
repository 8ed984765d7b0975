"""Counts that last: whoever has counted, and whatever has become of the rows that were counted."""

import threading

from sqlalchemy import delete, select, update

from models_store import counters, leases, workers
from models_store.database.engine import Database, now
from models_store.database.tables import CounterRow, JobRow, WorkerRow
from tests.models_store.rows import FAILURE, claimed, queued_job, ready_dataset


def totals(database: Database) -> dict[tuple[str, str], int]:
    with database.read() as session:
        return dict(counters.totals(session))


def test_attempts_are_counted_by_kind_and_stay_when_jobs_are_deleted(database: Database) -> None:
    ready_dataset(database)
    queued_job(database)
    leases.abandon(database, claimed(database), FAILURE)
    leases.release(database, claimed(database, owner="worker-2"))
    with database.write() as session:
        session.execute(delete(JobRow))
    assert totals(database) == {("attempts", "fine_tune"): 2, ("attempts", "import"): 1}


def test_leases_that_ran_out_are_counted(database: Database) -> None:
    for _ in range(2):
        queued_job(database)
        claimed(database)
    with database.write() as session:
        session.execute(update(JobRow).values(lease_until=now() - 1))
    leases.reap(database)
    leases.reap(database)
    assert totals(database)["leases_expired", "fine_tune"] == 2


def test_many_who_count_at_once_lose_nothing(database: Database) -> None:
    def count() -> None:
        for _ in range(10):
            with database.write() as session:
                counters.add(session, "attempts", "import", 2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(database) == {("attempts", "import"): 80}


def test_counts_of_a_worker_that_is_gone_are_kept_in_one_row(database: Database) -> None:
    for worker in ("here:1:light", "gone:1:light", "gone:2:light"):
        workers.seen(database, workers.Seen(worker, "light", "cpu"))
        with database.write() as session:
            counters.add(session, "attempts", "import", 3, by=worker)
    with database.write() as session:
        session.execute(delete(WorkerRow).where(WorkerRow.id.startswith("gone")))
    counters.settle(database)
    counters.settle(database)
    assert totals(database) == {("attempts", "import"): 9}
    with database.read() as session:
        rows = session.scalars(select(CounterRow)).all()
    assert {row.counted_by: row.value for row in rows} == {"": 6, "here:1:light": 3}
