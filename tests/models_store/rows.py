"""Rows for tests of the store."""

from sqlalchemy.orm import Session

from models_store import datasets, jobs, leases
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, JobRow, Json
from models_store.leases import Claim

FAILURE: Json = {"code": "crashed", "message": "It died. Retry.", "param": None}


def new_dataset(database: Database, owner: str = "ann") -> tuple[DatasetRow, JobRow]:
    """A data set that is being imported, and its import job."""
    options = {"filename": "x.csv", "task": None, "validation_fraction": 0.2, "seed": 0}
    new = datasets.NewDataset(owner, "words", options, upload="u.csv", upload_sha256="0" * 64, upload_bytes=10)
    row, job = datasets.create(database, new)
    assert job is not None
    return row, job


def ready_dataset(database: Database, owner: str = "ann", fingerprint: str = "sha256:aa") -> str:
    """A data set whose import has succeeded."""
    row, _ = new_dataset(database, owner)
    claim = claimed(database, "light")

    def publish(session: Session) -> Json:
        datasets.mark_ready(session, row.id, fingerprint=fingerprint)
        return {"dataset": row.id}

    leases.succeed(database, claim, publish)
    return row.id


def queued_job(database: Database, dataset: str = "ds_none", owner: str = "ann", name: str = "job") -> str:
    """A fine-tune job in the queue."""
    row, _ = jobs.create(database, jobs.NewJob("fine_tune", owner, name, dataset, "torchvision/resnet18"))
    return row.id


def claimed(database: Database, lane: str = "training", owner: str = "worker-1") -> Claim:
    """A claim that must succeed."""
    claim = leases.claim(database, lane, owner)
    assert claim is not None
    return claim


def job(database: Database, job_id: str) -> JobRow:
    """The row as it is now."""
    with database.read() as session:
        return session.get_one(JobRow, job_id)
