"""``finetuned train`` and ``finetuned evaluate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from finetuned.client import Dataset
from finetuned.client.options import job_body
from finetuned.client.requests import given
from finetuned.commands.completion import BackboneOption, DatasetId, ModelRef, StrategyOption
from finetuned.commands.remote import Remote, remote
from finetuned.commands.reporting import show_report
from finetuned.commands.waiting import ended, require
from finetuned.output import upload_progress

JOB_FIELDS = (
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
Cancel = Annotated[bool, typer.Option(help="Ctrl-C cancels the job; else it goes on.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Seconds to wait at most; the job goes on.")]


@remote
def train(
    at: Remote,
    path: Annotated[str, typer.Argument(help="A zip, CSV or JSONL, a folder of class folders, or a data set's id.")],
    backbone: BackboneOption,
    name: Annotated[str | None, typer.Option(help="Of the data set, the job and the model.")] = None,
    weights: Annotated[str | None, typer.Option(help="A weights name; DEFAULT if left out; none: random.")] = None,
    submodule: Annotated[str | None, typer.Option(help="Part of a checkpoint; the one that fits if left out.")] = None,
    strategy: StrategyOption = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    head_lr: Annotated[float | None, typer.Option(help="Learning rate of the head.")] = None,
    backbone_lr: Annotated[float | None, typer.Option(help="Learning rate of the backbone's top.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train nothing: say what would be done and take.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the job has ended.")] = False,
    timeout: Timeout = None,
    cancel_on_interrupt: Cancel = False,
) -> None:
    """Upload a data set and fine-tune a backbone on it."""
    rates = given(head_lr=head_lr, backbone_lr=backbone_lr)
    training = given(max_epochs=epochs, batch_size=batch_size, seed=seed, **rates)
    chosen = None if weights == "none" else weights or "DEFAULT"
    body = job_body(backbone, chosen, training, name=name, strategy=strategy, submodule=submodule)
    dataset = _dataset(at, path, name)
    if wait:
        dataset = dataset.wait(timeout)
        require(dataset, "ready")
    if dry_run:
        at.show(at.client.preflight(dataset=dataset.id, **body))
        return
    job = at.client.create_job(dataset=dataset.id, **body)
    if wait:
        job = ended(at, job, cancel_on_interrupt=cancel_on_interrupt, timeout=timeout)
    at.show(job, JOB_FIELDS)
    if wait:
        require(job, "succeeded")


def _dataset(at: Remote, path: str, name: str | None) -> Dataset:
    if path.startswith("ds_") and not Path(path).exists():
        return at.client.dataset(path)
    with upload_progress(path) as on_progress:
        return at.client.upload_dataset(path, name=name, wait=False, on_progress=on_progress)


@remote
def evaluate(
    at: Remote,
    model: ModelRef,
    dataset: DatasetId,
    timeout: Timeout = None,
    cancel_on_interrupt: Cancel = False,
) -> None:
    """Measure a model on a data set, and wait for the report."""
    job = at.client.evaluate(model, dataset)
    job = ended(at, job, cancel_on_interrupt=cancel_on_interrupt, timeout=timeout)
    require(job, "succeeded")
    found: Any = job.report
    show_report(at, found)
