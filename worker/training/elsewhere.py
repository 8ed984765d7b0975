"""Checkpoints of a running training in a store that machines share: whoever resumes need not be who wrote them."""

import contextlib
from pathlib import Path

from models_store import leases
from models_store.database.tables import Json
from models_store.errors import StorageUnavailableError, UnavailableError
from worker.attempt import Attempt


def push(attempt: Attempt, path: Path) -> bool:
    """Send a file; tells whether it went. A store that does not answer ends no training: the file is here as well."""
    try:
        attempt.storage.push_file(path)
    except StorageUnavailableError as error:
        message = f"a checkpoint is on this machine alone: {error.message}"
        attempt.persist(lambda: leases.log(attempt.database, attempt.claim, message))
        return False
    return True


def drop(attempt: Attempt, path: Path) -> None:
    """Remove a file from the store; what is left there goes when the job has ended."""
    with contextlib.suppress(StorageUnavailableError):
        attempt.storage.drop_files(path)


def brought(attempt: Attempt, entry: Json) -> Json:
    """A file of an earlier attempt (``path``, ``sha256``) as it lies here; fetched, if that was on another machine.

    Raises:
        StorageUnavailableError: whether there is such a file is not known.
    """
    written = Path(entry["path"])
    if not attempt.storage.shared or written.is_file():
        return entry
    path = attempt.settings.scratch_dir.joinpath(*written.parts[-3:])  # JOB/fence-N/NAME
    with contextlib.suppress(FileNotFoundError):
        try:
            path = path if path.is_file() else attempt.storage.fetch_file(path, path, entry["sha256"])
        except StorageUnavailableError:
            raise
        except UnavailableError:  # it is damaged, or does not fit on the disk
            return entry
    return {**entry, "path": str(path)}
