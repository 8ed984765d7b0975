"""Data sets, jobs and models with what can be done to them, once for either client."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Unpack

from finetuned.client import predicting, routes
from finetuned.client.effects import Feed, Op
from finetuned.client.endpoint import Awaiting, Blocking, each, one, plain, same
from finetuned.client.errors import Json
from finetuned.client.options import PredictOptions
from finetuned.client.predicting import Input
from finetuned.client.records import (
    DatasetItem,
    DatasetRecord,
    Event,
    Identified,
    JobRecord,
    ModelRecord,
    Prediction,
    Report,
)
from finetuned.client.requests import delete, get
from finetuned.client.routes import Format, Watcher


class NoModelError(Exception):
    """The job has made no model; the message says why."""


class _Dataset(DatasetRecord):
    @same
    def refresh(self) -> Op[Json]:
        """The data set as it is now."""
        return get(routes.dataset(self))

    @same
    def wait(self, timeout: float | None = None) -> Op[Json]:
        """Wait until the import has ended: ``status`` is ``ready`` or ``failed`` then."""
        return routes.wait_dataset(self, timeout)

    @each
    def items(self, label: str | None = None, split: str | None = None) -> Feed[DatasetItem]:
        """The items, of one label or split where given."""
        return routes.items(self, label, split)

    @plain
    def content(self, item: Any) -> Op[bytes]:
        """An item's bytes as they were uploaded."""
        return routes.content(self, item)

    @plain
    def delete(self) -> Op[None]:
        """Delete it, if no queued or running job uses it."""
        return delete(routes.dataset(self))


class Dataset(_Dataset, Blocking):
    """A data set of a :class:`Client`."""


class AsyncDataset(_Dataset, Awaiting):
    """A data set of an :class:`AsyncClient`."""


class _Job(JobRecord):
    @same
    def refresh(self) -> Op[Json]:
        """The job as it is now."""
        return get(routes.job(self))

    @same
    def wait(self, on_update: Watcher | None = None, timeout: float | None = None) -> Op[Json]:
        """Wait until it has ended: succeeded, failed or cancelled.

        ``on_update`` is called with the job about once a second, and at the end.
        """
        return routes.wait_job(self, on_update, timeout)

    @each
    def events(self, after: int = 0) -> Feed[Event]:
        """What happened and what will, as it comes, until the job has ended; survives broken connections."""
        return routes.follow(self, after)

    @each
    def history(self) -> Feed[Event]:
        """What has happened so far, oldest first."""
        return routes.history(self)

    @plain
    def epochs(self) -> Op[list[Json]]:
        """The metrics of every finished epoch."""
        return routes.epochs(self)

    @same
    def cancel(self) -> Op[Json]:
        """Ask it to stop."""
        return routes.cancel(self)

    @same
    def retry(self) -> Op[Json]:
        """A new job with the same request."""
        return routes.retry(self)

    @plain
    def delete(self) -> Op[None]:
        """Delete it, if it has ended."""
        return delete(routes.job(self))

    def _model(self) -> Json:
        if self.model_id is None:
            reason = self.error.message if self.error else "Wait for its end."
            raise NoModelError(f"{self.id} is {self.status} and has no model: {reason}")
        return {"id": self.model_id}


class Job(_Job, Blocking):
    """A job of a :class:`Client`."""

    @property
    def model(self) -> "ModelRef":
        """The model that it made, or that it measures.

        Raises:
            NoModelError: there is none.
        """
        return ModelRef.of(self._model(), vars(self)["session"])


class AsyncJob(_Job, Awaiting):
    """A job of an :class:`AsyncClient`."""

    @property
    def model(self) -> "AsyncModelRef":
        """The model that it made, or that it measures.

        Raises:
            NoModelError: there is none.
        """
        return AsyncModelRef.of(self._model(), vars(self)["session"])


class _Model(Identified):
    @plain
    def predict(self, inputs: Input | Iterable[Input], **options: Unpack[PredictOptions]) -> Op[list[Prediction]]:
        """Classify texts or images: one entry an input, in order; an input that cannot be read has an ``error``."""
        return predicting.predict(self, inputs, options)

    @each
    def predict_each(self, inputs: Iterable[Input], **options: Unpack[PredictOptions]) -> Feed[Prediction]:
        """The same over any number of inputs, in bounded memory, each answer as soon as it is there."""
        return predicting.predict_each(self, inputs, options)

    @plain
    def report(self) -> Op[Report]:
        """How good it is on items that it was not trained on."""
        return routes.report(self)

    @one(Job, AsyncJob)
    def evaluate(self, dataset: Any) -> Op[Json]:
        """Queue a job that measures it on a data set; wait for it, then read the job's ``report``."""
        return routes.evaluate(self, dataset)

    @same
    def promote(self, alias: str = "production") -> Op[Json]:
        """Let ``name@alias`` mean this version from the next request on; promote an earlier one to roll back."""
        return routes.promote(self, alias)

    @plain
    def remove_alias(self, alias: str) -> Op[None]:
        """Take an alias from this version."""
        return routes.remove_alias(self, alias)

    @plain
    def download(self, to: Path | str = ".", format: Format = "zip") -> Op[Path]:  # noqa: A002
        """Download it, streamed to disk: into the file ``to``, or under its own name into the folder ``to``."""
        return routes.fetch(self, to, format)

    @plain
    def delete(self) -> Op[None]:
        """Delete it and its aliases."""
        return delete(routes.model(self))


class Model(_Model, ModelRecord, Blocking):
    """A model of a :class:`Client`."""


class AsyncModel(_Model, ModelRecord, Awaiting):
    """A model of an :class:`AsyncClient`."""


class _ModelRef(_Model):
    @one(Model, AsyncModel)
    def read(self) -> Op[Json]:
        """What the service knows of it: labels, metrics, aliases."""
        return get(routes.model(self))


class ModelRef(_ModelRef, Blocking):
    """A model of a :class:`Client` by its id or ``name@alias``, not looked at yet."""


class AsyncModelRef(_ModelRef, Awaiting):
    """A model of an :class:`AsyncClient` by its id or ``name@alias``, not looked at yet."""
