"""No query over rows that grow without bound reads or sorts more of them than it gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from models_store import (
    aliases,
    checkpoints,
    datasets,
    idempotency,
    jobs,
    keys,
    labels,
    leases,
    registry,
    stranded,
    workers,
)
from models_store.database.engine import Database
from models_store.database.tables import CheckpointRow, ModelRow
from models_store.errors import FinetunedError
from models_store.keys import Caller
from tests import plans
from tests.models_store.rows import claimed, new_dataset, queued_job, ready_dataset

FILTERS = [
    ({"status": "failed"}, "ix_jobs_state (state"),
    ({"dataset": "ds_1"}, "ix_jobs_dataset (dataset_id"),
    ({"dataset": "ds_1", "status": "failed"}, "ix_jobs_dataset_state (dataset_id, state"),
    ({"owner": "ann"}, "ix_jobs_owner (owner"),
    ({"owner": "ann", "status": "failed"}, "ix_jobs_owner_state (owner, state"),
    ({"owner": "ann", "dataset": "ds_1"}, "ix_jobs_owner_dataset (owner, dataset_id"),
    (
        {"owner": "ann", "dataset": "ds_1", "status": "failed"},
        "ix_jobs_owner_dataset_state (owner, dataset_id, state",
    ),
]
Work = Callable[[Database], object]


def reading(work: Callable[[Session], object]) -> Work:
    """As a work of its own, in a session for reading."""

    def in_session(database: Database) -> None:
        with database.read() as session:
            work(session)

    return in_session


def steps_of_page(database: Database, after: str | None = None, **filters: Any) -> list[str]:
    asked = {"owner": None, **filters}
    return plans.of(
        database, lambda: reading(lambda session: jobs.page(session, limit=20, after=after, **asked))(database)
    )


def test_all_jobs_are_read_in_the_order_of_an_index(database: Database) -> None:
    assert steps_of_page(database) == ["SCAN jobs BY ix_jobs_shown"]
    assert steps_of_page(database, "job_5") == ["SEARCH jobs BY ix_jobs_shown (id)"]


@pytest.mark.parametrize(("filters", "searched"), FILTERS)
def test_a_page_of_jobs_is_searched_for_by_its_filters_and_its_place(
    database: Database, filters: dict[str, str], searched: str
) -> None:
    assert steps_of_page(database, **filters) == [f"SEARCH jobs BY {searched})"]
    assert steps_of_page(database, "job_5", **filters) == [f"SEARCH jobs BY {searched}, id)"]


def test_every_filter_of_jobs_gives_the_jobs_that_fit_and_no_others(database: Database) -> None:
    wanted = [queued_job(database, "ds_1") for _ in range(3)]
    queued_job(database, "ds_1", owner="bob")
    queued_job(database, "ds_2")
    jobs.cancel(database, queued_job(database, "ds_1"), owner="ann")
    with database.read() as session:
        first, more = jobs.page(session, owner="ann", limit=2, status="queued", dataset="ds_1")
        rest, _ = jobs.page(session, owner="ann", limit=2, status="queued", dataset="ds_1", after=first[-1].id)
    assert more
    assert sorted(row.id for row in [*first, *rest]) == sorted(wanted)


LISTS: dict[str, tuple[Work, str]] = {
    "data sets at first": (reading(lambda session: datasets.page(session, owner="ann", limit=9)), "datasets"),
    "models at first": (reading(lambda session: registry.page(session, owner="ann", limit=9)), "models"),
    "data sets": (reading(lambda session: datasets.page(session, owner="ann", limit=9, after="x")), "datasets"),
    "models": (reading(lambda session: registry.page(session, owner="ann", limit=9, after="x")), "models"),
    "checkpoints": (reading(lambda session: checkpoints.page(session, owner="ann", limit=9, after="x")), "checkpoints"),
    "keys": (reading(lambda session: keys.page(session, limit=9, after="x")), "keys"),
    "events": (reading(lambda session: jobs.events(session, "job_1", after=7)), "events"),
    "epochs": (reading(lambda session: list(jobs.epochs(session, "job_1"))), "epochs"),
    "every data set": (reading(lambda session: datasets.page(session, owner=None, limit=9, after="x")), "datasets"),
    "every model": (reading(lambda session: registry.page(session, owner=None, limit=9, after="x")), "models"),
}


@pytest.mark.parametrize("what", LISTS)
def test_a_page_of_any_list_is_searched_for_and_never_sorted(database: Database, what: str) -> None:
    work, table = LISTS[what]
    (step,) = plans.of(database, lambda: work(database))
    assert step.startswith(f"SEARCH {table} BY")


def _reaped(database: Database) -> None:
    queued_job(database)
    claimed(database)
    leases.reap(database)


def _needy(database: Database) -> None:
    for owner, requires in (("ann", ""), ("ann", "gpu"), ("bob", "gpu,memory>=1g"), ("cho", "tpu")):
        jobs.create(database, jobs.NewJob("fine_tune", owner, "job", "ds_none", requires=requires))


def _claimed_by_labels(database: Database) -> None:
    _needy(database)
    while leases.claim(database, "training", "w", labels.offered("gpu,memory=2g")) is not None:
        continue


def _rung_for_labels(database: Database) -> None:
    _needy(database)
    jobs.unclaimed(database, quiet_seconds=20, requires="gpu")


def _told(database: Database) -> None:
    _needy(database)
    stranded.tell(database)


def _used(database: Database) -> None:
    with pytest.raises(FinetunedError):
        datasets.delete(database, Path(), new_dataset(database)[0].id, owner="ann")


def _deleted_checkpoint(database: Database) -> None:
    with database.write() as session:
        row = {"id": "ckpt_1", "owner": "ann", "name": "n", "architecture": "a", "submodules": []}
        session.execute(insert(CheckpointRow).values(**row, sha256="0", bytes=1, created_at=0.0))
    checkpoints.delete(database, Path("nowhere"), "ckpt_1", owner="ann")


def _repeated(database: Database) -> None:
    with database.write() as session:
        idempotency.reserve(session, "ann", "jobs", idempotency.Repeat("k", "0" * 64), "job_1")


def _resolved(database: Database) -> None:
    with database.write() as session:
        row = {"id": "mdl_1", "owner": "bob", "name": "n", "version": 1, "job_id": "j", "dataset_id": "d", "card": {}}
        more = {"task": "t", "backbone": "b", "trunk": "0", "bytes": 1, "created_at": 0.0}
        session.execute(insert(ModelRow).values(**row, **more))
    with database.read() as session:
        aliases.resolve(session, "n@latest", caller=Caller("admin", "admin"))


def _failed_import(database: Database) -> None:
    new_dataset(database)
    leases.fail(database, claimed(database, "light"), {"code": "x", "message": "y", "param": None})


WORK: dict[str, Work] = {
    "claim": lambda database: (queued_job(database), leases.claim(database, "training", "w")),
    "claim as a worker with labels": _claimed_by_labels,
    "tell of what none can run": _told,
    "ring again for labels": _rung_for_labels,
    "reap": _reaped,
    "ring again": lambda database: (queued_job(database), jobs.unclaimed(database, quiet_seconds=20)),
    "forget preflights": jobs.forget_withdrawn,
    "cancel": lambda database: jobs.cancel(database, queued_job(database), owner="ann"),
    "end an import": _failed_import,
    "finish": ready_dataset,
    "delete a data set": _used,
    "delete a checkpoint": _deleted_checkpoint,
    "repeat": _repeated,
    "resolve a name": _resolved,
    "know a key": lambda database: keys.authenticate(database, keys.create(database, "ann", "user")[1]),
    "know an admin": keys.any_admin,
    "longest wait": reading(lambda session: jobs.longest_wait(session, "training")),
    "free workers": reading(lambda session: workers.free(session, "training")),
}
FEW = ("SCAN workers", "SEARCH workers", "SCAN found", "SCAN jobs BY ix_jobs_running")
"""A row a process that lives, or a job that runs; a value of a column, found by a search."""


@pytest.mark.parametrize("what", WORK)
def test_work_on_rows_finds_them_by_an_index_and_sorts_none(database: Database, what: str) -> None:
    steps = [step for step in plans.of(database, lambda: WORK[what](database)) if not step.startswith(FEW)]
    assert steps
    assert [step for step in steps if not step.startswith("SEARCH")] == []


def test_the_running_jobs_are_an_index_of_their_own(database: Database) -> None:
    steps = plans.of(database, lambda: reading(workers.current_jobs)(database))
    assert steps in (["SCAN jobs BY ix_jobs_lease"], ["SCAN jobs BY ix_jobs_running"])
