"""``python -m worker.child JOB FENCE PARENT TRACE``: do one attempt's work, and turn any end of it into stored data."""

import contextlib
import errno
import importlib
import sys
import traceback
from collections.abc import Callable
from typing import Final

from models_store import leases, spans
from models_store.database.engine import Database
from models_store.database.tables import JobRow, Json
from models_store.errors import DatabaseUnavailableError, FinetunedError, LeaseLostError, StorageUnavailableError
from models_store.jobs import IMPORT
from models_store.leases import Claim
from worker.attempt import LOST_EXIT, Attempt, CancelledByOwnerError, StoppedPolitelyError
from worker.parent import die_with_parent
from worker.settings import WorkerSettings
from worker.supervisor import attempt_directory

RUNNERS: Final = {
    "fine_tune": "worker.training.recipe",
    "import": "worker.importing.recipe",
    "evaluate": "worker.evaluating.recipe",
    "preflight": "worker.training.preflight",
}
"""Kind of job → module with ``run(attempt)``. By name, since an import has no need to wait for torch."""


def main(job_id: str, fence: int, parent_pid: int, trace: str) -> int:
    """Entry point; the exit code is for the log only."""
    die_with_parent(parent_pid)
    return work(job_id, fence, trace)


def work(job_id: str, fence: int, trace: str, imported: Callable[[], None] = lambda: None) -> int:
    """Do the work.

    Args:
        trace: the supervisor's span of this attempt, or empty.
        imported: is called when the lease is being renewed, and may wait for imports.
    """
    settings = WorkerSettings()
    database = Database(settings.resolved_database_url)
    claim = _claimed(database, job_id, fence)
    attempt = Attempt(database, settings, claim, attempt_directory(settings, claim))
    attempt.hear_term()
    attempt.start()
    imported()
    run = importlib.import_module(RUNNERS[claim.kind]).run
    tracer = spans.Tracer("job", telling=False)  # the last line of its log is for the owner of a job that has crashed
    with spans.entered(tracer.continued("" if claim.kind == IMPORT else trace)):  # an import gives the network away
        returncode = run_to_end(attempt, run)
    tracer.close()
    return returncode


def run_to_end(attempt: Attempt, run: Callable[[Attempt], None]) -> int:
    """Run, and store how it ended. The one place that catches everything: what is not stored here is a crash."""
    try:
        run(attempt)
    except (LeaseLostError, DatabaseUnavailableError):
        return LOST_EXIT  # nothing more can be stored; the supervisor or the reaper settles the row
    except StorageUnavailableError as error:
        code = error.code
        _store(lambda: leases.release(attempt.database, attempt.claim, code, served=True))
    except CancelledByOwnerError:
        _store(lambda: leases.cancelled(attempt.database, attempt.claim))
    except StoppedPolitelyError:
        _store(lambda: leases.release(attempt.database, attempt.claim))
    except BaseException as error:  # noqa: BLE001 - every failure becomes data
        reason = as_failure(error)
        _store(lambda: leases.fail(attempt.database, attempt.claim, reason))
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            traceback.print_exc()
        return 1
    finally:
        attempt.end()
    return 0


def as_failure(error: BaseException) -> Json:
    """Say in the job's own terms what went wrong and what to do."""
    if isinstance(error, FinetunedError):
        return dict(error.as_json())
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _failure("no_space", "The disk is full. Free some space in the data directory, then retry the job.")
    if isinstance(error, OSError) and error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return _failure("read_only", f"A file cannot be written ({error.strerror}). Check the data directory's rights.")
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return _failure("out_of_memory", "The job needs more memory than there is. Retry it with a smaller batch_size.")
    kind = type(error).__name__
    detail = f"{kind}: {str(error)[:300]}"
    return _failure("internal_error", f"The job failed unexpectedly ({detail}). See the worker's log, then retry.")


def _failure(code: str, message: str) -> Json:
    return {"code": code, "message": message, "param": None}


def _store(write: Callable[[], None]) -> None:
    try:
        write()
    except (LeaseLostError, DatabaseUnavailableError) as error:
        print(f"not stored: {error}", file=sys.stderr)  # noqa: T201 - the supervisor or the reaper settles the row


def _claimed(database: Database, job_id: str, fence: int) -> Claim:
    with database.read() as session:
        row = session.get_one(JobRow, job_id)
        return Claim(job_id=job_id, kind=row.kind, fence=fence, attempt=row.attempt)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
