"""Whose job is next: by priority, then in equal shares between owners, and never one that the worker cannot run."""

import threading
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import pytest

from models_store import jobs, labels, leases, stranded, sweep, workers
from models_store.database.engine import Database
from models_store.errors import UnavailableError
from models_store.leases import Claim
from tests import plans
from tests.models_store.rows import FAILURE, claimed, job, new_dataset, queued_job

QUEUES: Final = {"ann": 200, "bob": 60, "cho": 120, "dan": 61, "eve": 90}
"""Jobs of five owners who want very unequal amounts."""
HELD: Final = 20
"""Jobs that run at once."""
GPU: Final = labels.offered("cpu,gpu,memory=64g")


def post(database: Database, owner: str = "ann", *, priority: int = 0, requires: str = "") -> str:
    new = jobs.NewJob("fine_tune", owner, "job", "ds_none", priority=priority, requires=requires)
    return jobs.create(database, new)[0].id


def owner_of(database: Database, claim: Claim) -> str:
    return job(database, claim.job_id).owner


def turns(database: Database, count: int) -> list[str]:
    """The owners of the next jobs, of which each ends before the next one is claimed."""
    owners = []
    for _ in range(count):
        claim = claimed(database)
        owners.append(owner_of(database, claim))
        leases.fail(database, claim, FAILURE)
    return owners


def fill(database: Database, queues: dict[str, int] = QUEUES) -> None:
    with database.write() as session:
        for owner, count in queues.items():
            for _ in range(count):
                jobs.insert(session, jobs.NewJob("fine_tune", owner, "job", "ds_none"))


def test_a_higher_priority_goes_first_whoever_came_first_and_has_least(database: Database) -> None:
    normal, low, high = post(database, "bob"), post(database, priority=-1), post(database, priority=2)
    assert [claimed(database).job_id for _ in range(3)] == [high, normal, low]


def test_an_owners_jobs_of_one_priority_go_in_the_order_in_which_they_came(database: Database) -> None:
    posted = [post(database) for _ in range(3)]
    assert [claimed(database).job_id for _ in range(3)] == posted


def test_owners_take_turns_on_one_worker_however_unequal_their_queues_are(database: Database) -> None:
    fill(database, {"ann": 12, "bob": 3, "cho": 3})
    assert Counter(turns(database, 9)) == {"ann": 3, "bob": 3, "cho": 3}
    assert turns(database, 3) == ["ann"] * 3


def test_an_owner_who_comes_late_is_next_and_does_not_catch_up(database: Database) -> None:
    fill(database, {"ann": 10})
    turns(database, 4)
    fill(database, {"bob": 10})
    assert turns(database, 4) == ["bob", "ann", "bob", "ann"]


def test_the_owner_with_fewest_running_jobs_is_next_although_served_last(database: Database) -> None:
    fill(database, {"ann": 3, "bob": 3})
    held = [claimed(database) for _ in range(4)]
    for claim in held:
        if owner_of(database, claim) == owner_of(database, held[-1]):
            leases.fail(database, claim, FAILURE)
    assert owner_of(database, claimed(database)) == owner_of(database, held[-1])


def test_an_owner_whose_job_was_given_back_is_next(database: Database) -> None:
    fill(database, {"ann": 4, "bob": 4, "cho": 4})
    assert turns(database, 3) == ["ann", "bob", "cho"]
    given_back = claimed(database)
    assert owner_of(database, given_back) == "ann"
    leases.release(database, given_back)
    assert turns(database, 4) == ["ann", "bob", "cho", "ann"]


def test_an_owner_whose_job_waits_for_a_store_holds_up_nobody(database: Database) -> None:
    fill(database, {"ann": 2, "bob": 2})
    leases.release(database, claimed(database), "storage_unavailable", served=True)
    assert turns(database, 2) == ["bob", "ann"]


def test_work_in_one_lane_does_not_count_in_another(database: Database) -> None:
    new_dataset(database, "ann")
    claimed(database, "light")
    post(database, "ann")
    post(database, "bob")
    assert owner_of(database, claimed(database)) == "ann"


def run_at_once(database: Database, workers_count: int, most: int) -> list[str]:
    """Workers that claim at the same time, and end the job that runs longest whenever many run; gives the owners."""
    owners: list[str] = []
    held: deque[Claim] = deque()

    def end(claim: Claim) -> None:
        try:
            leases.fail(database, claim, FAILURE)
        except UnavailableError:
            held.appendleft(claim)
            raise

    def work() -> None:
        while len(owners) < most:
            with suppress(UnavailableError):  # as a worker, which hears the next bell
                claim = leases.claim(database, "training", "w")
                assert claim is not None
                held.append(claim)
                owners.append(owner_of(database, claim))
                if len(held) > HELD:
                    end(held.popleft())

    threads = [threading.Thread(target=work) for _ in range(workers_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return owners[:most]


def test_five_owners_get_equal_shares_within_a_tenth_from_workers_that_claim_at_once(database: Database) -> None:
    fill(database)
    counts = Counter(run_at_once(database, 4, 250))
    assert {owner: 45 <= counts[owner] <= 55 for owner in QUEUES} == dict.fromkeys(QUEUES, True), counts


def test_five_owners_hold_equal_numbers_of_workers(database: Database) -> None:
    fill(database)
    held = [claimed(database) for _ in range(50)]
    assert Counter(owner_of(database, claim) for claim in held) == dict.fromkeys(QUEUES, 10)


def test_nobody_waits_longer_than_a_round_of_owners_however_often_others_come(database: Database) -> None:
    fill(database, {"ann": 30})
    turns(database, 3)
    post(database, "zoe")
    waited = 0
    while turns(database, 1) != ["zoe"]:
        post(database, f"new-{waited}")
        waited += 1
    assert waited <= 1


def test_an_owner_whose_data_set_is_not_ready_holds_up_nobody(database: Database) -> None:
    waiting, _ = new_dataset(database, "ann")
    for _ in range(3):
        queued_job(database, waiting.id, owner="ann")
    runnable = post(database, "ann", priority=-5)
    assert claimed(database).job_id == runnable
    assert leases.claim(database, "training", "w") is None


def test_a_worker_takes_what_it_can_run_and_leaves_the_rest(database: Database) -> None:
    large, gpu, plain = (post(database, requires=need) for need in ("gpu,memory>=128g", "gpu", ""))
    assert claimed(database).job_id == plain
    assert leases.claim(database, "training", "w") is None
    both = leases.claim(database, "training", "w", GPU)
    assert both is not None and both.job_id == gpu
    assert leases.claim(database, "training", "w", GPU) is None
    bigger = leases.claim(database, "training", "w", labels.offered("gpu,memory=128g"))
    assert bigger is not None and bigger.job_id == large


def test_a_worker_takes_the_oldest_of_an_owner_across_what_it_can_run(database: Database) -> None:
    posted = [post(database, requires=need) for need in ("gpu", "", "memory>=1g", "gpu")]
    taken = [leases.claim(database, "training", "w", GPU) for _ in posted]
    assert [claim.job_id for claim in taken if claim is not None] == posted


@pytest.mark.parametrize(
    ("offers", "need", "meets"),
    [
        ("", "", True),
        ("cpu", "gpu", False),
        ("gpu", "gpu", True),
        ("memory=32g", "memory>=32g", True),
        ("memory=32768m", "memory>=32g", True),
        ("memory=31g", "memory>=32g", False),
        ("memory", "memory>=1", False),
        ("gpu,memory=64g", "gpu,memory>=32g,memory>=65g", False),
    ],
)
def test_labels_meet_needs(offers: str, need: str, meets: bool) -> None:
    assert labels.meets(labels.offered(offers), need) is meets


@pytest.mark.parametrize("text", ["GPU", "gpu memory", "memory>=3", "memory=3x", "a=", "x" * 40])
def test_a_label_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no label"):
        labels.offered(text)


def test_labels_are_read_as_they_are_shown() -> None:
    assert labels.offered(labels.shown(GPU)) == GPU


def told(database: Database, job_id: str) -> Sequence[str]:
    with database.read() as session:
        rows, _ = jobs.events(session, job_id)
    return [row.data["message"] for row in rows if row.type == "log"]


def test_a_job_that_no_live_worker_can_run_says_so_once(database: Database) -> None:
    workers.seen(database, workers.Seen("w1", "training", "cpu", labels.offered("cpu")))
    needy, plain = post(database, requires="gpu"), post(database)
    for _ in range(2):
        stranded.tell(database)
    (message,) = told(database, needy)
    assert "(gpu)" in message
    assert job(database, needy).progress == {"phase": "waiting", "message": message}
    assert (told(database, plain), job(database, plain).progress) == ([], None)


def test_a_job_that_some_live_worker_can_run_is_left_alone(database: Database) -> None:
    workers.seen(database, workers.Seen("w1", "training", "cuda", GPU))
    needy = post(database, requires="gpu")
    stranded.tell(database)
    assert told(database, needy) == []
    workers.seen(database, workers.Seen("w1", "training", "cuda", GPU, draining=True))
    stranded.tell(database)
    assert len(told(database, needy)) == 1


def test_a_job_that_was_told_of_and_then_claimed_waits_no_longer(database: Database) -> None:
    needy = post(database, requires="gpu")
    stranded.tell(database)
    leases.claim(database, "training", "w", GPU)
    assert (job(database, needy).progress, job(database, needy).stranded) == (None, False)


def test_only_workers_with_the_labels_ring_for_a_job_that_needs_them(database: Database) -> None:
    post(database, requires="gpu")
    rung: list[tuple[str, str]] = []
    sweep.sweep(database, lambda *bell: rung.append(bell))
    sweep.ring_for_needs(database, ["training"], labels.offered("cpu"), lambda *bell: rung.append(bell))
    assert rung == []
    sweep.ring_for_needs(database, ["training"], GPU, lambda *bell: rung.append(bell))
    assert [lane for _, lane in rung] == ["training"]


def test_a_worker_that_lacks_the_labels_or_drains_is_not_free_for_a_job(database: Database) -> None:
    workers.seen(database, workers.Seen("w1", "training", "cpu", labels.offered("cpu")))
    workers.seen(database, workers.Seen("w2", "training", "cuda", GPU, draining=True))
    with database.read() as session:
        assert (workers.free(session, "training"), workers.free(session, "training", "gpu")) == (1, 0)


def test_a_claim_looks_at_queues_and_not_at_their_jobs(database: Database) -> None:
    """The same searches, by the same columns, whether ten or ten thousand wait."""
    fill(database, {"ann": 10, "bob": 10})
    steps = plans.of(database, lambda: leases.claim(database, "training", "w", GPU))
    searched = [step for step in steps if step.startswith("SEARCH jobs BY ix_jobs_queue")]
    assert "SEARCH jobs BY ix_jobs_queue (lane, requires, priority, owner)" in searched
    assert [step for step in steps if step == "SORT"] == []
