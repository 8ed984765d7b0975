"""The import of a data set as a durable job: check the upload, publish the item set, mark the row."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from models_store import datasets, leases, usage
from models_store.database.tables import DatasetRow, Json
from models_store.errors import ConflictError, StorageUnavailableError
from models_store.quarantine.confinement import confine
from worker.attempt import Attempt
from worker.importing.importer import ImportOptions, import_upload
from worker.importing.limits import ImportLimits
from worker.importing.problems import ImportFailedError, Problem

_MEMORY: Final = 8 * 2**30
"""Bytes of address space: some pictures of the largest size at once, and what is kept of a million items."""
_NICE: Final = 10
"""Whoever uploads without end takes processor time from predictions only where nobody wants any."""
_BESIDE: Final = 2**30
"""Bytes by which the largest file that is written, the items' or the database's, may pass the items'."""


def run(attempt: Attempt) -> None:
    """Import the upload that the data set's row names. This process can do little else from then on.

    Raises:
        FinetunedError: the set cannot be used; its problems are stored with it.
    """
    with attempt.database.read() as session:
        dataset = datasets.get(session, attempt.row().dataset_id, owner=None)
    accepted = attempt.settings.uploads_dir / (dataset.upload or "")
    upload = attempt.storage.fetch_file(accepted, attempt.directory / "upload", dataset.upload_sha256 or "")
    elsewhere = attempt.database.engine.dialect.name != "sqlite" or attempt.storage.shared
    os.nice(_NICE)
    confine(more_memory=_MEMORY, file_size=ImportLimits().total_bytes + _BESIDE, network=elsewhere)

    def on_progress(fraction: float) -> None:
        attempt.check_stop()
        attempt.progress("importing", fraction)

    try:
        result = import_upload(
            upload,
            dataset.options["filename"],
            _options(dataset),
            attempt.settings.store_dir / "datasets",
            _limits(attempt, dataset),
            on_progress,
        )
    except ImportFailedError as error:
        _keep_problems(attempt, dataset.id, error.problems)
        raise

    folder = datasets.directory(attempt.settings.store_dir, result.fingerprint)
    _push(attempt, folder)

    def publish(session: Session) -> Json:
        # A data set with the same content may have been deleted, and its folder with it, since the set was written.
        datasets.lock_content(session, result.fingerprint)
        if not attempt.storage.there(folder):
            raise _deleted()
        stored = usage.room(session, dataset.owner, attempt.settings.max_stored_bytes)
        stored.check(result.bytes - dataset.bytes)
        datasets.mark_ready(session, dataset.id, **vars(result))
        return {"dataset": dataset.id}

    leases.succeed(attempt.database, attempt.claim, publish)
    upload.unlink(missing_ok=True)
    with contextlib.suppress(StorageUnavailableError):  # it is in the log, and a sweep removes it later
        attempt.storage.drop_files(accepted)


def _push(attempt: Attempt, folder: Path) -> None:
    """Keep the item set on this machine and let others see it.

    Raises:
        ConflictError: ``content_deleted``.
    """
    attempt.storage.hold(folder)
    try:
        attempt.storage.push(folder)
    except FileNotFoundError as error:
        raise _deleted() from error


def _deleted() -> ConflictError:
    return ConflictError("content_deleted", "The same content was deleted during the import. Upload it again.")


def _limits(attempt: Attempt, dataset: DatasetRow) -> ImportLimits:
    """What unpacks to more than its owner may store is given up where that shows."""
    limits = ImportLimits()
    with attempt.database.read() as session:
        room = usage.room(session, dataset.owner, attempt.settings.max_stored_bytes)
    left = room.most - room.stored + dataset.bytes if room.most else limits.total_bytes
    return replace(limits, total_bytes=max(0, min(limits.total_bytes, left)))


def _options(dataset: DatasetRow) -> ImportOptions:
    asked = dataset.options
    return ImportOptions(
        task=asked["task"],
        validation_fraction=asked["validation_fraction"],
        seed=asked["seed"],
        split=asked.get("split", "given"),  # uploads that waited while the service was upgraded have none
    )


def _keep_problems(attempt: Attempt, dataset_id: str, problems: list[Problem]) -> None:
    """A set that failed shows everything that was wrong with it; the failure itself is stored by the caller."""
    with attempt.database.write() as session:
        leases.check(session, attempt.claim)
        session.get_one(DatasetRow, dataset_id).problems = [dict(problem) for problem in problems]
