"""Waiting for a job before the user's eyes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from finetuned.client import Dataset, Job
from finetuned.commands.exits import CommandError, ExitCode, Json
from finetuned.commands.remote import Remote
from finetuned.output import JobBar, job_progress


def ended(at: Remote, job: Job, *, cancel_on_interrupt: bool, timeout: float | None) -> Job:
    """The job at its end, with a bar until then. Ctrl-C leaves it running, unless it is to be cancelled."""
    bar = job_progress(silent=at.as_json)
    with _interruptible(job, cancel_on_interrupt=cancel_on_interrupt), bar as progress:
        return job.wait(JobBar(progress, job.name).update, timeout)


@contextmanager
def _interruptible(job: Job, *, cancel_on_interrupt: bool) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if cancel_on_interrupt:
            job.cancel()
            message = f"Interrupted: {job.id} is being cancelled."
        else:
            message = (
                f"Interrupted: {job.id} goes on. See it with: finetuned jobs watch {job.id}; "
                f"stop it with: finetuned jobs cancel {job.id}"
            )
        error = {"code": "interrupted", "message": message, "job": job.id}
        raise CommandError(ExitCode.INTERRUPTED, error) from None


def require(found: Dataset | Job, status: str) -> None:
    """See that the end is the wanted one.

    Raises:
        CommandError: it is not.
    """
    if found.status == status:
        return
    error: Json = found.get("error") or {"code": found.status, "message": f"{found.id} is {found.status}."}
    problems = found.get("problems") or []
    details = json.dumps(problems, ensure_ascii=False) if problems else ""
    raise CommandError(ExitCode.FAILED, {**error, "id": found.id, "problems": problems}, details)
