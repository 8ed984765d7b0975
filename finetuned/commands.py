"""The commands that are a client of a running service (``FINETUNED_URL``, ``FINETUNED_API_KEY``)."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from finetuned.client import Client, Input
from finetuned.output import JobBar, job_progress, show_fields, show_json, show_table
from finetuned.transport import given

Json = dict[str, Any]
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's JSON.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]

weights = typer.Typer(no_args_is_help=True, help="The local mirror of pretrained weights.")
datasets = typer.Typer(no_args_is_help=True, help="Data sets.")
jobs = typer.Typer(no_args_is_help=True, help="Fine-tuning jobs.")
models = typer.Typer(no_args_is_help=True, help="Trained models.")


def train(
    path: Annotated[Path, typer.Argument(help="A zip, CSV or JSONL, or a folder of class folders.")],
    backbone: Annotated[str, typer.Option(help="Such as torchvision/resnet50 or hf/ORG/NAME.")],
    name: Annotated[str | None, typer.Option(help="Of the data set, the job and the model.")] = None,
    weights: Annotated[str | None, typer.Option(help="A weights name; DEFAULT if left out.")] = None,
    strategy: Annotated[str | None, typer.Option(help="freeze, full or auto.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the job has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a data set and fine-tune a backbone on it."""
    training = given(max_epochs=epochs, batch_size=batch_size, seed=seed)
    body = given(backbone=backbone, name=name, weights=weights, strategy=strategy, training=training or None)
    with Client() as client:
        dataset = client.upload_dataset(path, name=name, wait=wait)
        _require(dataset, "ready" if wait else None)
        job = client.create_job(dataset=dataset["id"], **body)
        if wait:
            with job_progress() as progress:
                job = client.wait_job(job["id"], JobBar(progress, job["name"]).update)
    _show_job(job, as_json)
    _require(job, "succeeded" if wait else None)


def predict(
    model: Annotated[str, typer.Argument(help="A model's id, or name@alias.")],
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Texts, or paths of images.")],
    top_k: Annotated[int | None, typer.Option(min=1)] = None,
    logits: Annotated[bool, typer.Option(help="With --json: the raw logits too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Classify texts or images, whichever the model is for."""
    with Client() as client:
        images = client.model(model)["task"] == "image-classification"
        items: list[Input] = [_existing(item) if images else item for item in inputs]
        predictions = client.predict(model, items, top_k=top_k, logits=logits)
    if as_json:
        show_json(predictions)
    else:
        show_table(("input", "label", "score"), map(_prediction_row, inputs, predictions))
    if any("error" in prediction for prediction in predictions):
        raise typer.Exit(1)


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise typer.BadParameter(f"There is no file {name}. This model classifies images: name image files.")
    return path


def _prediction_row(item: str, prediction: Json) -> tuple[object, ...]:
    if "error" in prediction:
        return item, prediction["error"]["code"], prediction["error"]["message"]
    return item, prediction["label"], prediction["score"]


@weights.command("add")
def add_weights(
    backbone: str,
    file: Annotated[Path, typer.Option(help="A weights file, or the folder of one model.")],
    weights: Annotated[str, typer.Option(help="The weights name of that backbone.")] = "DEFAULT",
    as_json: AsJson = False,
) -> None:
    """Put weights into the mirror, so that no hub is needed for them."""
    with Client() as client:
        entry = client.add_weights(backbone, file, weights)
    if as_json:
        show_json(entry)
    else:
        show_fields(entry)


@weights.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List the mirror."""
    with Client() as client:
        _show_list(client.weights(), ("backbone", "weights", "bytes", "sha256"), as_json)


@weights.command("remove")
def remove_weights(backbone: str, weights: Annotated[str, typer.Option()] = "DEFAULT") -> None:
    """Take weights out of the mirror."""
    with Client() as client:
        client.remove_weights(backbone, weights)
    typer.echo(f"Removed {backbone} {weights}.")


@datasets.command("list")
def list_datasets(limit: Limit = 20, as_json: AsJson = False) -> None:
    """The newest data sets."""
    with Client() as client:
        columns = ("id", "name", "status", "task", "splits", "created_at")
        _show_list(islice(client.datasets(), limit), columns, as_json)


@datasets.command("show")
def show_dataset(dataset_id: str, as_json: AsJson = False) -> None:
    """One data set, with every problem that its import found."""
    with Client() as client:
        _show(client.dataset(dataset_id), as_json)


@datasets.command("delete")
def delete_dataset(dataset_id: str) -> None:
    """Delete a data set."""
    with Client() as client:
        client.delete_dataset(dataset_id)
    typer.echo(f"Deleted {dataset_id}.")


@jobs.command("list")
def list_jobs(status: str | None = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """The newest jobs."""
    with Client() as client:
        columns = ("id", "name", "status", "backbone", "model", "created_at")
        _show_list(islice(client.jobs(status=status), limit), columns, as_json)


@jobs.command("show")
def show_job(job_id: str, as_json: AsJson = False) -> None:
    """One job."""
    with Client() as client:
        _show_job(client.job(job_id), as_json)


@jobs.command("cancel")
def cancel_job(job_id: str) -> None:
    """Stop a job that is queued or running."""
    with Client() as client:
        client.cancel_job(job_id)
    typer.echo(f"Asked {job_id} to stop.")


@jobs.command("delete")
def delete_job(job_id: str) -> None:
    """Delete a job that has ended."""
    with Client() as client:
        client.delete_job(job_id)
    typer.echo(f"Deleted {job_id}.")


@models.command("list")
def list_models(limit: Limit = 20, as_json: AsJson = False) -> None:
    """The newest models."""
    with Client() as client:
        columns = ("id", "name", "version", "task", "backbone", "metrics", "created_at")
        _show_list(islice(client.models(), limit), columns, as_json)


@models.command("show")
def show_model(ref: str, as_json: AsJson = False) -> None:
    """One model, by id or name@alias."""
    with Client() as client:
        _show(client.model(ref), as_json)


@models.command("delete")
def delete_model(model_id: str) -> None:
    """Delete a model."""
    with Client() as client:
        client.delete_model(model_id)
    typer.echo(f"Deleted {model_id}.")


def _show(found: Json, as_json: bool) -> None:
    show_json(found) if as_json else show_fields(found)


def _show_job(job: Json, as_json: bool) -> None:
    shown = (
        "id",
        "name",
        "status",
        "backbone",
        "dataset",
        "decision",
        "best",
        "model",
        "error",
        "created_at",
        "finished_at",
    )
    _show(job if as_json else {name: job.get(name) for name in shown}, as_json)


def _show_list(found: Iterator[Json], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        show_json(list(found))
    else:
        show_table(columns, ([entry.get(column) for column in columns] for entry in found))


def _require(found: Json, status: str | None) -> None:
    """Exit with the reason unless the status is the wanted one."""
    if status is None or found["status"] == status:
        return
    error = found.get("error") or {"code": found["status"], "message": f"{found['id']} is {found['status']}."}
    problems = json.dumps(found.get("problems") or "", ensure_ascii=False) if found.get("problems") else ""
    typer.secho(f"Error: {error['message']} ({error['code']}) {problems}".rstrip(), err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
