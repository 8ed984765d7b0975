"""``finetuned datasets``."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from finetuned.commands.completion import DatasetId
from finetuned.commands.remote import Limit, Remote, remote
from finetuned.commands.waiting import require
from finetuned.output import upload_progress

app = typer.Typer(no_args_is_help=True, help="Data sets.")


@app.command("add")
@remote
def add(
    at: Remote,
    path: Annotated[Path, typer.Argument(help="A zip, CSV or JSONL, or a folder of class folders.")],
    name: Annotated[str | None, typer.Option()] = None,
    task: Annotated[str | None, typer.Option(help="Told from the content if left out.")] = None,
    validation_fraction: Annotated[float | None, typer.Option(min=0, max=0.9)] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    split: Annotated[str | None, typer.Option(help="given, or grouped: copies stay on one side.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is imported.")] = True,
) -> None:
    """Upload a data set."""
    with upload_progress(path) as on_progress:
        found = at.client.upload_dataset(
            path, name, task, validation_fraction, seed, split, wait=False, on_progress=on_progress
        )
    found = found.wait() if wait else found
    at.show(found)
    if wait:
        require(found, "ready")


@app.command("list")
@remote
def list_(at: Remote, limit: Limit = 20) -> None:
    """The newest data sets."""
    at.list(islice(at.client.datasets(), limit), ("id", "name", "status", "task", "splits", "created_at"))


@app.command("show")
@remote
def show(at: Remote, dataset_id: DatasetId) -> None:
    """One data set, with every problem that its import found."""
    at.show(at.client.dataset(dataset_id))


@app.command("items")
@remote
def items(
    at: Remote,
    dataset_id: DatasetId,
    label: Annotated[str | None, typer.Option(help="Of this class.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test.")] = None,
    limit: Limit = 20,
) -> None:
    """The items of a data set, in its order."""
    found = at.client.dataset_items(dataset_id, label, split)
    at.list(islice(found, limit), ("id", "name", "label", "split", "text"))


@app.command("delete")
@remote
def delete(at: Remote, dataset_id: DatasetId) -> None:
    """Delete a data set."""
    at.client.delete_dataset(dataset_id)
    at.say(f"Deleted {dataset_id}.", deleted=dataset_id)
