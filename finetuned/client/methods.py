"""What both clients can do: data sets, jobs and models."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Unpack

from finetuned.client import predicting, routes
from finetuned.client.bodies import Data, Progress
from finetuned.client.effects import Feed, Op
from finetuned.client.endpoint import each, many, one, plain
from finetuned.client.errors import Json
from finetuned.client.objects import AsyncDataset, AsyncJob, AsyncModel, Dataset, Job, Model
from finetuned.client.options import PredictOptions, Preprocessing, Strategy, Training, job_body
from finetuned.client.predicting import Input
from finetuned.client.records import DatasetItem, DatasetRecord, Event, Identified, Prediction, Preflight, Report
from finetuned.client.requests import as_it_is, delete, get, new_key, pages, post, ref
from finetuned.client.routes import Format, Watcher
from finetuned.client.uploading import upload_dataset


class Datasets:
    """Data sets."""

    @one(Dataset, AsyncDataset)
    def upload_dataset(
        self,
        data: Data,
        name: str | None = None,
        task: str | None = None,
        validation_fraction: float | None = None,
        seed: int | None = None,
        split: str | None = None,
        wait: bool = True,
        on_progress: Progress | None = None,
        idempotency_key: str | None = None,
    ) -> Op[Json]:
        """Upload a zip of images, a CSV or JSONL of texts, a folder (zipped while it is sent), or a table.

        Nothing is held in memory but the piece that is being sent. ``split="grouped"`` draws training and validation
        anew, with copies of one another on one side.

        With ``wait`` the import has ended when this returns: see ``status`` (``ready`` or ``failed``) and ``problems``.
        """
        options = {"task": task, "validation_fraction": validation_fraction, "seed": seed, "split": split}
        found = yield from upload_dataset(data, name, on_progress, idempotency_key, **options)
        return (yield from routes.wait_dataset(found["id"])) if wait else found

    @one(Dataset, AsyncDataset)
    def wait_dataset(self, dataset_id: str) -> Op[Json]:
        """Wait until the import has ended."""
        return routes.wait_dataset(dataset_id)

    @many(Dataset, AsyncDataset)
    def datasets(self) -> Feed[Json]:
        """Every data set, newest first, fetched as it is asked for."""
        return pages("/datasets", as_it_is)

    @one(Dataset, AsyncDataset)
    def dataset(self, dataset_id: str) -> Op[Json]:
        """One data set."""
        return get(routes.dataset(dataset_id))

    @each
    def dataset_items(self, dataset_id: str, label: str | None = None, split: str | None = None) -> Feed[DatasetItem]:
        """The items of a data set, of one label or split where given."""
        return routes.items(dataset_id, label, split)

    @plain
    def dataset_item_content(self, dataset_id: str, item: str) -> Op[bytes]:
        """The item's bytes as they were uploaded."""
        return routes.content(dataset_id, item)

    @plain
    def delete_dataset(self, dataset_id: str) -> Op[None]:
        """Delete a data set that no queued or running job uses."""
        return delete(routes.dataset(dataset_id))


class Jobs:
    """Fine-tunings and evaluations."""

    @one(Job, AsyncJob)
    def train(
        self,
        data: "Data | DatasetRecord",
        backbone: str,
        *,
        name: str | None = None,
        weights: str | None = "DEFAULT",
        strategy: Strategy | None = None,
        submodule: str | None = None,
        preprocessing: Preprocessing | None = None,
        metadata: dict[str, str] | None = None,
        on_progress: Progress | None = None,
        idempotency_key: str | None = None,
        **training: Unpack[Training],
    ) -> Op[Json]:
        """Upload data, and queue a fine-tuning of a backbone on it.

        ``data`` is a path, a table, a data set of the service, or the id of one (``ds_…``). What is said of the
        training (``max_epochs=20, head_lr=0.01``) goes beside it. Wait for the end with :meth:`Job.wait`.
        """
        key = idempotency_key or new_key()
        dataset = yield from _dataset_id(data, name, on_progress, key)
        options = {"name": name, "strategy": strategy, "submodule": submodule}
        body = job_body(backbone, weights, training, **options, preprocessing=preprocessing, metadata=metadata)
        return (yield from post("/jobs", {"dataset": dataset, **body}, key=key))

    @one(Job, AsyncJob)
    def create_job(self, /, *, idempotency_key: str | None = None, **body: Any) -> Op[Json]:
        """Queue a job; ``dataset`` and ``backbone`` are required. With a key, repeating the call gives the same job."""
        return post("/jobs", body, key=idempotency_key or new_key())

    @plain
    def preflight(self, /, **body: Any) -> Op[Preflight]:
        """What :meth:`create_job` with this body would do and take: ``decision``, ``config``, ``measurement``."""
        return Preflight.of((yield from post("/jobs/preflight", body, repeatable=True)))

    @many(Job, AsyncJob)
    def jobs(self, status: str | None = None, dataset: str | None = None) -> Feed[Json]:
        """Every job, newest first."""
        return pages("/jobs", as_it_is, status=status, dataset=dataset)

    @one(Job, AsyncJob)
    def job(self, job_id: str) -> Op[Json]:
        """One job as it is now."""
        return get(routes.job(job_id))

    @one(Job, AsyncJob)
    def wait_job(self, job_id: str, on_update: Watcher | None = None, timeout: float | None = None) -> Op[Json]:
        """Wait until the job has ended, and return it: succeeded, failed or cancelled.

        ``on_update`` is called with the job about once a second, and at the end.
        """
        return routes.wait_job(job_id, on_update, timeout)

    @one(Job, AsyncJob)
    def cancel_job(self, job_id: str) -> Op[Json]:
        """Ask a queued or running job to stop."""
        return routes.cancel(job_id)

    @one(Job, AsyncJob)
    def retry_job(self, job_id: str) -> Op[Json]:
        """Queue a new job with the same request."""
        return routes.retry(job_id)

    @plain
    def delete_job(self, job_id: str) -> Op[None]:
        """Delete a job that has ended."""
        return delete(routes.job(job_id))

    @plain
    def job_metrics(self, job_id: str) -> Op[list[Json]]:
        """One entry an epoch."""
        return routes.epochs(job_id)

    @each
    def job_events(self, job_id: str) -> Feed[Event]:
        """The job's history so far, oldest first."""
        return routes.history(job_id)

    @each
    def follow_job(self, job_id: str, after: int = 0) -> Feed[Event]:
        """What happened to the job and what will, as it comes, until it has ended."""
        return routes.follow(job_id, after)


def _dataset_id(data: "Data | DatasetRecord", name: str | None, on_progress: Progress | None, key: str) -> Op[str]:
    if isinstance(data, DatasetRecord) or (isinstance(data, str) and data.startswith("ds_")):
        return ref(data)
    found = yield from upload_dataset(data, name, on_progress, key)
    return str(found["id"])


class Models:
    """Trained models."""

    @many(Model, AsyncModel)
    def models(self) -> Feed[Json]:
        """Every model, newest first."""
        return pages("/models", as_it_is)

    @one(Model, AsyncModel)
    def model(self, ref: str) -> Op[Json]:
        """One model, by id or ``name@alias``."""
        return get(routes.model(ref))

    @plain
    def download(self, ref: str, to: Path | str = ".", format: Format = "zip") -> Op[Path]:  # noqa: A002
        """Download a model, streamed to disk: into the file ``to``, or under its own name into the folder ``to``.

        The zip is for plain torchvision, timm or transformers, and says in its ``README.md`` how; ``ckpt`` is a
        Lightning checkpoint.
        """
        return routes.fetch(ref, to, format)

    @one(Model, AsyncModel)
    def promote(self, ref: str, alias: str = "production") -> Op[Json]:
        """Let ``name@alias`` mean this version from the next request on; promote an earlier one to roll back."""
        return routes.promote(ref, alias)

    @plain
    def remove_alias(self, ref: str, alias: str) -> Op[None]:
        """Take an alias from this version."""
        return routes.remove_alias(ref, alias)

    @plain
    def delete_model(self, model_id: str) -> Op[None]:
        """Delete a model and its aliases."""
        return delete(routes.model(model_id))

    @plain
    def report(self, ref: str) -> Op[Report]:
        """How good a model is on items that it was not trained on."""
        return routes.report(ref)

    @one(Job, AsyncJob)
    def evaluate(self, ref: str, dataset: str) -> Op[Json]:
        """Queue a job that measures a model on a data set; wait for it, then read its ``report``."""
        return routes.evaluate(ref, dataset)

    @plain
    def predict(
        self, model: str | Identified, inputs: Input | Iterable[Input], **options: Unpack[PredictOptions]
    ) -> Op[list[Prediction]]:
        """Classify texts or images: one entry an input, in order; an input that cannot be read has an ``error``."""
        return predicting.predict(model, inputs, options)

    @each
    def predict_each(
        self, model: str | Identified, inputs: Iterable[Input], **options: Unpack[PredictOptions]
    ) -> Feed[Prediction]:
        """The same over any number of inputs, in bounded memory, each answer as soon as it is there."""
        return predicting.predict_each(model, inputs, options)
