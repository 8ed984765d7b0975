"""``finetuned jobs``."""

import json
from itertools import islice
from typing import Annotated

import typer

from finetuned.client.records import Event
from finetuned.commands.completion import JobId
from finetuned.commands.remote import Limit, Remote, remote
from finetuned.commands.training import JOB_FIELDS, Cancel, Timeout
from finetuned.commands.waiting import ended, require

app = typer.Typer(no_args_is_help=True, help="Fine-tuning jobs.")


@app.command("list")
@remote
def list_(
    at: Remote,
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of this data set.")] = None,
    limit: Limit = 20,
) -> None:
    """The newest jobs."""
    found = at.client.jobs(status=status, dataset=dataset)
    at.list(islice(found, limit), ("id", "name", "status", "backbone", "model", "created_at"))


@app.command("show")
@remote
def show(at: Remote, job_id: JobId) -> None:
    """One job."""
    at.show(at.client.job(job_id), JOB_FIELDS)


@app.command("watch")
@remote
def watch(at: Remote, job_id: JobId, timeout: Timeout = None, cancel_on_interrupt: Cancel = False) -> None:
    """Wait for a job's end, with its metrics as they come; Ctrl-C leaves it running."""
    job = ended(at, at.client.job(job_id), cancel_on_interrupt=cancel_on_interrupt, timeout=timeout)
    at.show(job, JOB_FIELDS)
    require(job, "succeeded")


@app.command("logs")
@remote
def logs(
    at: Remote,
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until the job ends.")] = False,
) -> None:
    """What happened to a job, an event a line; with --json a JSON object a line."""
    for event in at.client.follow_job(job_id) if follow else at.client.job_events(job_id):
        typer.echo(json.dumps(event.raw, ensure_ascii=False) if at.as_json else _line(event))


def _line(event: Event) -> str:
    facts = " ".join(f"{name}={_short(value)}" for name, value in event.data.items() if value is not None)
    when = f"{event.created_at} " if event.created_at else ""
    return f"{when}{event.type:<8} {facts}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@app.command("cancel")
@remote
def cancel(at: Remote, job_id: JobId) -> None:
    """Stop a job that is queued or running."""
    job = at.client.cancel_job(job_id)
    at.say(f"Asked {job_id} to stop.", **job.raw)


@app.command("retry")
@remote
def retry(at: Remote, job_id: JobId) -> None:
    """Queue a new job with the same request."""
    at.show(at.client.retry_job(job_id), JOB_FIELDS)


@app.command("delete")
@remote
def delete(at: Remote, job_id: JobId) -> None:
    """Delete a job that has ended."""
    at.client.delete_job(job_id)
    at.say(f"Deleted {job_id}.", deleted=job_id)
