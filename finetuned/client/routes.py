"""What can be asked of the service about one object, given by its id or as the object itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from finetuned.client import events
from finetuned.client.downloading import download
from finetuned.client.effects import Call, Feed, Op
from finetuned.client.errors import Json
from finetuned.client.records import DatasetItem, Event, JobRecord, Report
from finetuned.client.requests import delete, get, pages, part, post, read, send
from finetuned.client.waiting import wait

Format = Literal["zip", "ckpt"]
Watcher = Callable[[JobRecord], None]


def dataset(ref: Any) -> str:
    """The address of a data set."""
    return f"/datasets/{part(ref)}"


def job(ref: Any) -> str:
    """The address of a job."""
    return f"/jobs/{part(ref)}"


def model(ref: Any) -> str:
    """The address of a model."""
    return f"/models/{part(ref)}"


def wait_dataset(ref: Any, seconds: float | None = None) -> Op[Json]:
    """Until the import has ended."""
    return wait(dataset(ref), {"processing"}, seconds=seconds)


def items(ref: Any, label: str | None, split: str | None) -> Feed[DatasetItem]:
    """The items of a data set."""
    return pages(f"{dataset(ref)}/items", DatasetItem.of, label=label, split=split)


def content(ref: Any, item: Any) -> Op[bytes]:
    """An item as it was uploaded."""
    call = Call("GET", f"{dataset(ref)}/items/{part(item)}/content", repeatable=True)
    return (yield from send(call)).content


def wait_job(ref: Any, on_update: Watcher | None = None, seconds: float | None = None) -> Op[Json]:
    """Until the job has ended."""
    tell = (lambda raw: on_update(JobRecord.of(raw))) if on_update else None
    return wait(job(ref), {"queued", "running"}, tell, seconds)


def epochs(ref: Any) -> Op[list[Json]]:
    """The metrics of every finished epoch."""
    found: list[Json] = (yield from get(f"{job(ref)}/metrics"))["epochs"]
    return found


def history(ref: Any) -> Feed[Event]:
    """What has happened to a job so far."""
    return pages(f"{job(ref)}/events", Event.of)


def follow(ref: Any, after: int) -> Feed[Event]:
    """What happened to a job and what will."""
    return events.follow(f"{job(ref)}/events", after)


def cancel(ref: Any) -> Op[Json]:
    """Ask a job to stop."""
    return post(f"{job(ref)}/cancel")


def retry(ref: Any) -> Op[Json]:
    """A new job with the same request."""
    return post(f"{job(ref)}/retry")


def report(ref: Any) -> Op[Report]:
    """How good a model is."""
    return Report.of((yield from get(f"{model(ref)}/report")))


def evaluate(ref: Any, data: Any) -> Op[Json]:
    """A job that measures a model on a data set."""
    return post(f"{model(ref)}/evaluate", {"dataset": data if isinstance(data, str) else data.id})


def promote(ref: Any, alias: str) -> Op[Json]:
    """Move an alias to a model."""
    return read(Call("PUT", f"{model(ref)}/aliases/{part(alias)}", repeatable=True))


def remove_alias(ref: Any, alias: str) -> Op[None]:
    """Take an alias from a model."""
    return delete(f"{model(ref)}/aliases/{part(alias)}")


def fetch(ref: Any, to: Path | str, form: Format) -> Op[Path]:
    """A model as a file."""
    return download(f"{model(ref)}/download", Path(to), {"format": form})
