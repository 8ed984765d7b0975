"""What a data set leaves in other rows and files, and what becomes of it when the set is deleted.

The names and labels of single items go from the reports of models and evaluations, and so does what was computed of
the items. What a model has learned stays with the model: its weights, its labels, its figures, and the features by
which it tells what is far from its data. Deleting the model removes these.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models_store import idempotency, registry
from models_store.database.tables import PART_OF_A_DATASET, SHOWN, DatasetRow, JobRow, ModelRow
from models_store.errors import StorageUnavailableError
from models_store.feature_cache import folders
from models_store.reporting import stored
from models_store.storage.local import LOCAL
from models_store.storage.protocol import Storage


def forget_dataset(session: Session, store_dir: Path, dataset_id: str, storage: Storage = LOCAL) -> None:
    """Remove what rows and reports tell of a data set's items; part of the transaction that deletes the set."""
    idempotency.forget(session, dataset_id)
    session.execute(delete(JobRow).where(JobRow.dataset_id == dataset_id, PART_OF_A_DATASET))
    for job in session.scalars(select(JobRow).where(JobRow.dataset_id == dataset_id, SHOWN)):
        if job.result and "report" in job.result:
            job.result = {**job.result, "report": stored.without_items(job.result["report"])}
    forget_reports(store_dir, models_of(session, dataset_id), storage)


def models_of(session: Session, dataset_id: str) -> Sequence[str]:
    """The models that were made of a data set."""
    return session.scalars(select(ModelRow.id).where(ModelRow.dataset_id == dataset_id)).all()


def forget_reports(store_dir: Path, models: Sequence[str], storage: Storage = LOCAL) -> None:
    """Take what they tell of single items out of the reports of models."""
    for model_id in models:
        folder = registry.directory(store_dir, model_id)
        with storage.using(folder):
            forgotten = stored.forget_items(folder)
            if forgotten is None:
                continue
            try:
                storage.push(folder, anew=True)
            except StorageUnavailableError:
                stored.write(folder, forgotten)  # else the next try would find nothing to take out, and send nothing
                raise


def forget_content(session: Session, store_dir: Path, fingerprint: str, take: Callable[[Path], None]) -> None:
    """Take away an item set and what was computed of it, unless a data set that still exists has the same content."""
    if session.scalar(select(DatasetRow.id).where(DatasetRow.fingerprint == fingerprint).limit(1)) is not None:
        return
    take(store_dir / "datasets" / fingerprint.removeprefix("sha256:"))
    for folder in folders.of(store_dir, fingerprint):
        take(folder)
