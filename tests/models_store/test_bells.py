from models_store import jobs
from models_store.database.engine import Database
from tests.models_store.rows import queued_job


def test_of_a_long_queue_everyone_is_rung_for_in_turn(database: Database) -> None:
    first, second, third = sorted(queued_job(database) for _ in range(3))
    rounds = [jobs.unclaimed(database, quiet_seconds=0.0, limit=2) for _ in range(2)]
    assert [[job_id for job_id, _ in found] for found in rounds] == [[first, second], [third, first]]


def test_nobody_is_rung_for_again_so_soon(database: Database) -> None:
    job = queued_job(database)
    assert jobs.unclaimed(database, quiet_seconds=20.0) == [(job, "training")]
    assert jobs.unclaimed(database, quiet_seconds=20.0) == []
