"""The commands that are a client of a running service (``FINETUNED_URL``, ``FINETUNED_API_KEY``)."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from finetuned.client import Client, Input
from finetuned.output import JobBar, job_progress, show_fields, show_json, show_table
from finetuned.transport import given

Json = dict[str, Any]
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's JSON.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]

weights = typer.Typer(no_args_is_help=True, help="The local mirror of pretrained weights.")
checkpoints = typer.Typer(no_args_is_help=True, help="Uploaded checkpoints: `train --backbone checkpoint/ID`.")
datasets = typer.Typer(no_args_is_help=True, help="Data sets.")
jobs = typer.Typer(no_args_is_help=True, help="Fine-tuning jobs.")
models = typer.Typer(no_args_is_help=True, help="Trained models.")


def train(
    path: Annotated[Path, typer.Argument(help="A zip, CSV or JSONL, or a folder of class folders.")],
    backbone: Annotated[str, typer.Option(help="Such as torchvision/resnet50 or hf/ORG/NAME.")],
    name: Annotated[str | None, typer.Option(help="Of the data set, the job and the model.")] = None,
    weights: Annotated[str | None, typer.Option(help="A weights name; DEFAULT if left out.")] = None,
    submodule: Annotated[str | None, typer.Option(help="Part of a checkpoint; the one that fits if left out.")] = None,
    strategy: Annotated[str | None, typer.Option(help="auto, freeze, full, gradual, or lora (texts).")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the job has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a data set and fine-tune a backbone on it."""
    training = given(max_epochs=epochs, batch_size=batch_size, seed=seed)
    body = given(
        backbone=backbone, name=name, weights=weights, strategy=strategy, submodule=submodule, training=training or None
    )
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


def report(
    model: Annotated[str, typer.Argument(help="A model's id, or name@alias.")],
    as_json: AsJson = False,
) -> None:
    """How good a model is: each class, calibration, and the items whose labels may be wrong."""
    with Client() as client:
        _show_report(client.report(model), as_json)


def evaluate(
    model: Annotated[str, typer.Argument(help="A model's id, or name@alias.")],
    dataset: Annotated[str, typer.Argument(help="A data set's id.")],
    as_json: AsJson = False,
) -> None:
    """Measure a model on a data set, and wait for the report."""
    with Client() as client:
        job = client.evaluate(model, dataset)
        with job_progress() as progress:
            job = client.wait_job(job["id"], JobBar(progress, job["name"]).update)
    _require(job, "succeeded")
    _show_report(job["report"], as_json)


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


@checkpoints.command("add")
def add_checkpoint(
    file: Annotated[Path, typer.Argument(help="A Lightning .ckpt, or a .pt, .pth or .safetensors of a state_dict.")],
    architecture: Annotated[str, typer.Option(help="The backbone that a part of it fits, or plugin/NAME.")],
    name: Annotated[str | None, typer.Option()] = None,
    as_json: AsJson = False,
) -> None:
    """Upload a checkpoint, to take a part of it as a backbone."""
    with Client() as client:
        _show(client.upload_checkpoint(file, architecture, name), as_json)


@checkpoints.command("list")
def list_checkpoints(limit: Limit = 20, as_json: AsJson = False) -> None:
    """The newest checkpoints."""
    with Client() as client:
        columns = ("id", "name", "architecture", "submodules", "bytes", "created_at")
        _show_list(islice(client.checkpoints(), limit), columns, as_json)


@checkpoints.command("show")
def show_checkpoint(checkpoint_id: str, as_json: AsJson = False) -> None:
    """One checkpoint: its parts, and those that its architecture fits."""
    with Client() as client:
        _show(client.checkpoint(checkpoint_id), as_json)


@checkpoints.command("delete")
def delete_checkpoint(checkpoint_id: str) -> None:
    """Delete a checkpoint."""
    with Client() as client:
        client.delete_checkpoint(checkpoint_id)
    typer.echo(f"Deleted {checkpoint_id}.")


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
        columns = ("id", "name", "version", "aliases", "task", "backbone", "metrics", "created_at")
        _show_list(islice(client.models(), limit), columns, as_json)


@models.command("show")
def show_model(ref: str, as_json: AsJson = False) -> None:
    """One model, by id or name@alias."""
    with Client() as client:
        _show(client.model(ref), as_json)


@models.command("download")
def download_model(
    ref: str,
    to: Annotated[Path, typer.Option(help="A file, or a folder for a file of the model's name.")] = Path(),
    form: Annotated[
        Literal["zip", "ckpt"], typer.Option("--format", help="zip: for plain libraries; ckpt: for Lightning.")
    ] = "zip",
) -> None:
    """Download a model, by id or name@alias, to run it without this service."""
    with Client() as client:
        typer.echo(client.download(ref, to, form))


@models.command("promote")
def promote_model(
    ref: str,
    alias: Annotated[str, typer.Argument(help="Up to 64 of a-z, 0-9, - and _.")] = "production",
    as_json: AsJson = False,
) -> None:
    """Let name@alias mean this version; promote an earlier one to roll back."""
    with Client() as client:
        model = client.promote(ref, alias)
    if as_json:
        show_json(model)
    else:
        typer.echo(f"{model['name']}@{alias} is version {model['version']} now.")


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


def _show_report(report: Json, as_json: bool) -> None:
    show_json(report) if as_json else _show_figures(report)


def _show_figures(report: Json) -> None:
    calibration = report["calibration"]
    summary = {name: report[name] for name in ("model", "dataset", "split", "items", "accuracy", "loss")}
    ece = {f"ece_{when}": calibration[f"ece_{when}"] for when in ("before", "after")}
    show_fields({**summary, "temperature": calibration["temperature"], **ece})
    for columns, rows in (
        (("label", "precision", "recall", "f1", "support"), report["classes"]),
        (("item", "name", "label", "predicted", "score"), report["mistakes"]),
    ):
        typer.echo()
        show_table(columns, ([row[column] for column in columns] for row in rows))


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
