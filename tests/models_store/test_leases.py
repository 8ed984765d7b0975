import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from models_store import datasets, jobs, leases, registry
from models_store.database.engine import Database, now
from models_store.database.tables import DatasetRow, EventRow, JobRow, Json, ModelRow
from models_store.errors import ConflictError, LeaseLostError
from models_store.leases import Claim
from tests.models_store.rows import FAILURE, claimed, job, new_dataset, queued_job, ready_dataset


def expire(database: Database, job_id: str) -> None:
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job_id).values(lease_until=now() - 1))


def publishing(claim: Claim, name: str = "m") -> Callable[[Session], Json]:
    def publish(session: Session) -> Json:
        new = registry.NewModel(
            id=f"mdl_{claim.job_id}_{claim.fence}",
            owner="ann",
            name=name,
            job_id=claim.job_id,
            dataset_id="ds_none",
            task="t",
            backbone="b",
            trunk="0",
            card={},
            bytes=1,
        )
        return {"model": registry.publish(session, new).id}

    return publish


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Start all calls at one moment; gives what each returned or raised."""
    barrier = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(index: int, call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[index] = call()
        except Exception as error:  # noqa: BLE001 - it is the result
            results[index] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_oldest_queued_job_is_claimed_first(database: Database) -> None:
    first, _second = queued_job(database), queued_job(database)
    assert claimed(database).job_id == first


def test_an_empty_lane_gives_no_claim(database: Database) -> None:
    assert leases.claim(database, "training", "w") is None


def test_who_finds_nothing_to_claim_keeps_no_writer_waiting(database: Database) -> None:
    queued_job(database)
    with ThreadPoolExecutor(1) as thread, database.write() as session:
        session.execute(update(JobRow).values(priority=JobRow.priority))  # a writer in the midst of its work
        idle = thread.submit(leases.claim, database, "light", "w")
        assert idle.result(2) is None  # on SQLite a claim that begins to write would wait for five seconds
    assert leases.claim(database, "training", "w") is not None


def test_a_lane_gives_only_its_own_kind(database: Database) -> None:
    new_dataset(database)
    assert leases.claim(database, "training", "w") is None
    assert claimed(database, "light").kind == "import"


def test_ten_claimers_at_once_get_one_job_once(database: Database) -> None:
    job_id = queued_job(database)
    got = at_once(*[lambda: leases.claim(database, "training", "w")] * 10)
    winners = [claim for claim in got if isinstance(claim, Claim)]
    assert [claim.job_id for claim in winners] == [job_id]
    assert job(database, job_id).fence == 1


def test_a_job_waits_for_the_import_of_its_data_set(database: Database) -> None:
    dataset, _ = new_dataset(database)
    queued_job(database, dataset.id)
    assert leases.claim(database, "training", "w") is None
    done = claimed(database, "light")

    def publish(session: Session) -> Json:
        datasets.mark_ready(session, dataset.id)
        return {}

    leases.succeed(database, done, publish)
    assert claimed(database).kind == "fine_tune"


def test_a_failed_import_fails_the_data_set_and_the_jobs_that_wait_for_it(database: Database) -> None:
    dataset, _ = new_dataset(database)
    waiting = queued_job(database, dataset.id)
    leases.fail(database, claimed(database, "light"), FAILURE)
    row = job(database, waiting)
    assert (row.state, (row.error or {})["code"]) == ("failed", "dataset_failed")
    with database.read() as session:
        assert session.get_one(DatasetRow, dataset.id).status == "failed"


def test_renewing_moves_the_lease_and_tells_of_cancellation(database: Database) -> None:
    job_id = queued_job(database)
    claim = claimed(database)
    expire(database, job_id)
    assert leases.renew(database, claim) is False
    assert leases.standing(database, claim).lease_expired is False
    jobs.cancel(database, job_id, owner="ann")
    assert leases.renew(database, claim) is True


@pytest.mark.parametrize(
    "late",
    [
        lambda database, claim: leases.renew(database, claim),
        lambda database, claim: leases.report_progress(database, claim, {}),
        lambda database, claim: leases.report_epochs(database, claim, {0: {}}, current={}, best={}),
        lambda database, claim: leases.save_checkpoint(database, claim, {"kept": []}),
        lambda database, claim: leases.succeed(database, claim, publishing(claim)),
        lambda database, claim: leases.fail(database, claim, FAILURE),
        lambda database, claim: leases.cancelled(database, claim),
        lambda database, claim: leases.release(database, claim),
        lambda database, claim: leases.abandon(database, claim, FAILURE),
    ],
    ids=["renew", "progress", "epoch", "checkpoint", "succeed", "fail", "cancelled", "release", "abandon"],
)
def test_every_write_of_a_stale_attempt_is_refused(
    database: Database, late: Callable[[Database, Claim], object]
) -> None:
    job_id = queued_job(database)
    stale = claimed(database)
    expire(database, job_id)
    leases.reap(database)
    fresh = claimed(database)
    before = job(database, job_id)
    with pytest.raises(LeaseLostError):
        late(database, stale)
    after = job(database, job_id)
    assert (after.state, after.fence, after.attempt) == ("running", fresh.fence, before.attempt)
    with database.read() as session:
        assert session.scalar(select(ModelRow.id)) is None


def test_success_publishes_in_the_same_transaction(database: Database) -> None:
    job_id = queued_job(database)
    claim = claimed(database)

    def broken(session: Session) -> Json:
        publishing(claim)(session)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        leases.succeed(database, claim, broken)
    assert job(database, job_id).state == "running"
    leases.succeed(database, claim, publishing(claim))
    row = job(database, job_id)
    assert (row.state, row.result) == ("succeeded", {"model": f"mdl_{job_id}_1"})


def test_success_and_cancel_at_once_leave_one_terminal_state(database: Database) -> None:
    for _ in range(10):
        job_id = queued_job(database)
        claim = claimed(database)
        done, asked = at_once(
            lambda held=claim: leases.succeed(database, held, publishing(held)),  # type: ignore[misc]
            lambda wanted=job_id: jobs.cancel(database, wanted, owner="ann"),  # type: ignore[misc]
        )
        row = job(database, job_id)
        if row.state == "succeeded":
            assert isinstance(asked, ConflictError)
        else:
            assert isinstance(done, LeaseLostError)
            assert row.result is None
            leases.cancelled(database, claim)
            assert job(database, job_id).state == "cancelled"


def test_two_reapers_at_once_requeue_once(database: Database) -> None:
    job_id = queued_job(database)
    claimed(database)
    expire(database, job_id)
    got = at_once(*[lambda: leases.reap(database)] * 4)
    assert [job_id] == [reaped for result in got if isinstance(result, list) for reaped in result]
    with database.read() as session:
        history = [event.data["status"] for event in jobs.events(session, job_id)[0] if event.type == "status"]
    assert history == ["queued", "running", "queued"]


def test_a_live_lease_is_not_reaped(database: Database) -> None:
    queued_job(database)
    claimed(database)
    assert leases.reap(database) == []


def test_an_expired_lease_of_a_cancelled_job_ends_as_cancelled(database: Database) -> None:
    job_id = queued_job(database)
    claimed(database)
    jobs.cancel(database, job_id, owner="ann")
    expire(database, job_id)
    leases.reap(database)
    assert job(database, job_id).state == "cancelled"


def test_a_job_that_dies_without_progress_fails_after_the_cap(database: Database) -> None:
    job_id = queued_job(database)
    for _ in range(leases.MAX_BARREN):
        assert job(database, job_id).state == "queued"
        leases.abandon(database, claimed(database), FAILURE)
    row = job(database, job_id)
    assert (row.state, row.attempt, row.error) == ("failed", leases.MAX_BARREN, FAILURE)


def test_progress_gives_new_attempts(database: Database) -> None:
    job_id = queued_job(database)
    for _ in range(leases.MAX_BARREN + 2):
        claim = claimed(database)
        leases.save_checkpoint(database, claim, {"kept": []})
        leases.abandon(database, claim, FAILURE)
    assert job(database, job_id).state == "queued"


def test_a_polite_stop_spends_no_attempt(database: Database) -> None:
    job_id = queued_job(database)
    for _ in range(leases.MAX_BARREN + 2):
        leases.release(database, claimed(database))
    row = job(database, job_id)
    assert (row.state, row.attempt, row.barren) == ("queued", 0, 0)


def test_a_failure_of_a_job_that_its_owner_cancelled_is_a_cancellation(database: Database) -> None:
    job_id = queued_job(database)
    claim = claimed(database)
    jobs.cancel(database, job_id, owner="ann")
    leases.fail(database, claim, FAILURE)
    row = job(database, job_id)
    assert (row.state, row.error) == ("cancelled", None)


def test_an_epoch_that_is_reported_again_is_replaced(database: Database) -> None:
    job_id = queued_job(database)
    claim = claimed(database)
    for loss in (2.0, 1.0):
        leases.report_epochs(database, claim, {0: {"val_loss": loss}}, current={}, best={})
    with database.read() as session:
        assert list(jobs.epochs(session, job_id)) == [{"epoch": 0, "val_loss": 1.0}]


def test_versions_of_a_name_are_counted(database: Database) -> None:
    for _ in range(2):
        queued_job(database)
        claim = claimed(database)
        leases.succeed(database, claim, publishing(claim, name="same"))
    with database.read() as session:
        assert sorted(session.scalars(select(ModelRow.version))) == [1, 2]


def test_a_data_set_in_use_cannot_be_deleted(database: Database, tmp_path: Path) -> None:
    dataset = ready_dataset(database)
    job_id = queued_job(database, dataset)
    with pytest.raises(ConflictError) as refusal:
        datasets.delete(database, tmp_path, dataset, owner="ann")
    assert refusal.value.code == "dataset_in_use"
    jobs.cancel(database, job_id, owner="ann")
    datasets.delete(database, tmp_path, dataset, owner="ann")


def test_the_time_of_a_job_is_that_of_all_its_attempts_and_not_of_the_queue(database: Database) -> None:
    queued_job(database)
    first = claimed(database)
    leases.release(database, first)
    second = claimed(database)
    history = [(0.0, "queued"), (100.0, "running"), (130.0, "queued"), (530.0, "running")]
    with database.write() as session:
        session.execute(delete(EventRow))
        begin = (session.scalar(select(now())) or 0.0) - 535.0
        for at, status in history:
            session.add(EventRow(job_id=second.job_id, type="status", data={"status": status}, created_at=begin + at))
    assert leases.spent(database, second) == pytest.approx(30 + 5, abs=3)


def test_a_job_that_comes_back_keeps_its_trace_and_waits_from_then_on(database: Database) -> None:
    job_id = queued_job(database)
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job_id).values(trace="00-trace", queued_at=now() - 100))
    first = claimed(database)
    leases.abandon(database, first, FAILURE)
    second = claimed(database)
    expire(database, job_id)
    leases.reap(database)
    third = claimed(database)
    leases.release(database, third)
    fourth = claimed(database)
    assert {claim.trace for claim in (first, second, third, fourth)} == {"00-trace"}
    waits = [second.queued_at - first.queued_at, third.queued_at - second.queued_at, fourth.queued_at - third.queued_at]
    assert waits[0] > 99
    assert all(0 <= wait < 50 for wait in waits[1:])
