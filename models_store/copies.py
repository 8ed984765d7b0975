"""What of a shared store rows still need: the rest goes from the store, and from this machine.

A deletion takes what it deletes out of the store at once. Left are copies on other machines, and what the killed have
stored for nobody.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from models_store import jobs, unused_trunks
from models_store.database.engine import Database
from models_store.database.tables import ACTIVE, CheckpointRow, DatasetRow, JobRow, ModelRow
from models_store.reporting import stored
from models_store.storage.protocol import Storage


def tidy(database: Database, store_dir: Path, storage: Storage) -> None:
    """Remove what no row needs from a shared store.

    Raises:
        DatabaseUnavailableError, StorageUnavailableError: nothing more was removed.
    """
    forget(database, storage)

    def is_needed(path: Path) -> bool:
        with database.read() as session:
            return _needed(session, path)

    for path in storage.settle(is_needed):
        if not is_needed(path):
            _remove(database, storage, path)
    if storage.shared:
        for folder in _left_by_jobs(database, store_dir):
            with storage.removal() as take:
                take(folder)


def forget(database: Database, storage: Storage) -> None:
    """Remove copies on this machine, and parts of them, that were deleted from another one.

    Raises:
        DatabaseUnavailableError: nothing more was removed.
    """
    for folder in storage.copies():
        with database.read() as session:
            needed = _needed(session, folder)
            gone = needed and _dataset_gone(session, folder)
        if not needed or (folder.parent.name == "weights" and not storage.there(folder)):  # which no row names
            storage.forget(folder)
        elif gone:
            with storage.using(folder):
                stored.forget_items(folder)


def _remove(database: Database, storage: Storage, path: Path) -> None:
    """No job ends meanwhile, and so none that would name it: it is looked for once more."""
    with storage.removal() as take, database.write() as session:
        unused_trunks.lock_jobs(session)
        if not _needed(session, path):
            take(path)


def _needed(session: Session, path: Path) -> bool:
    """Whether a row names a folder of the store, or an upload, or a job that is not over has these files."""
    wanted: dict[str, Select[Any]] = {
        "datasets": select(DatasetRow.id).where(DatasetRow.fingerprint == f"sha256:{path.name}"),
        "models": select(ModelRow.id).where(ModelRow.id == path.name),
        "trunks": select(ModelRow.id).where(ModelRow.trunk == path.name),
        "checkpoints": select(CheckpointRow.id).where(CheckpointRow.id == path.name),
        "uploads": select(DatasetRow.id).where(DatasetRow.upload == path.name),
        "scratch": select(JobRow.id).where(JobRow.id == path.name, ACTIVE),
    }
    query = wanted.get(path.parent.name)
    return query is None or session.scalar(query.limit(1)) is not None


def _dataset_gone(session: Session, folder: Path) -> bool:
    """Whether it is a model whose data set was deleted."""
    if folder.parent.name != "models":
        return False
    known = select(DatasetRow.id).where(DatasetRow.id == ModelRow.dataset_id).exists()
    return session.scalar(select(ModelRow.id).where(ModelRow.id == folder.name, ~known)) is not None


def _left_by_jobs(database: Database, store_dir: Path) -> Iterator[Path]:
    """What jobs wrote here that were deleted from another machine."""
    for of_job in (jobs.tensorboard_directory, jobs.scratch_directory):
        folder = of_job(store_dir, "any").parent
        for path in list(folder.glob("job_*")):  # what passes, or belongs to the disk, has other names
            with database.read() as session:
                if session.get(JobRow, path.name) is None:
                    yield path
