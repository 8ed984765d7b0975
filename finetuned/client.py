"""A client of a running service. Needs httpx alone."""

import base64
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from finetuned.transport import ApiError, Json, Transport, given

__all__ = ["ApiError", "Client"]

Input = str | bytes | Path
"""A text, the bytes of an image, or the path of an image."""


class Client:
    """One connection to a service; usable as a context manager.

    Args:
        url: of the service; else ``FINETUNED_URL``, else this machine's port 8000.
        key: API key; else ``FINETUNED_API_KEY``, else, for a service on this machine only, the key that
            ``finetuned up`` left in ``FINETUNED_DATA_DIR`` or ``./finetuned-data``.
        timeout: seconds without a byte after which a request is given up.

    Every method raises :class:`ApiError`.
    """

    def __init__(self, url: str | None = None, key: str | None = None, timeout: float = 120.0) -> None:
        self._transport = Transport(url, key, timeout)

    @property
    def url(self) -> str:
        """The service's address."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    # Data sets

    def upload_dataset(
        self,
        path: Path | str,
        name: str | None = None,
        task: str | None = None,
        validation_fraction: float | None = None,
        seed: int | None = None,
        split: str | None = None,
        wait: bool = True,
    ) -> Json:
        """Upload a zip of images, a CSV or JSONL of texts, or a folder (which is zipped), streamed from disk.

        ``split="grouped"`` draws training and validation anew, with copies of one another on one side.

        With ``wait`` the import has ended when this returns: see ``status`` (``ready`` or ``failed``) and ``problems``.
        """
        path = Path(path)
        options = given(task=task, validation_fraction=validation_fraction, seed=seed, split=split)
        fields = {"name": name or path.resolve().stem, **options}
        dataset = self._transport.upload("/datasets", path, fields)
        return self.wait_dataset(dataset["id"]) if wait else dataset

    def wait_dataset(self, dataset_id: str) -> Json:
        """Wait until the import has ended."""
        return self._transport.wait(f"/datasets/{_part(dataset_id)}", {"processing"})

    def datasets(self) -> Iterator[Json]:
        """Every data set, newest first, fetched as it is asked for."""
        return self._transport.pages("/datasets")

    def dataset(self, dataset_id: str) -> Json:
        """One data set."""
        return self._transport.json("GET", f"/datasets/{_part(dataset_id)}")

    def dataset_items(self, dataset_id: str, label: str | None = None, split: str | None = None) -> Iterator[Json]:
        """The items of a data set, of one label or split where given."""
        return self._transport.pages(f"/datasets/{_part(dataset_id)}/items", label=label, split=split)

    def dataset_item_content(self, dataset_id: str, item: str) -> bytes:
        """The item's bytes as they were uploaded."""
        return self._transport.send("GET", f"/datasets/{_part(dataset_id)}/items/{_part(item)}/content").content

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a data set that no queued or running job uses."""
        self._transport.send("DELETE", f"/datasets/{_part(dataset_id)}")

    # Jobs

    def create_job(self, *, idempotency_key: str | None = None, **body: Any) -> Json:
        """Queue a job; ``dataset`` and ``backbone`` are required. With a key, repeating the call gives the same job."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._transport.json("POST", "/jobs", json=body, headers=headers)

    def preflight(self, **body: Any) -> Json:
        """What :meth:`create_job` with this body would do and take: ``decision``, ``config``, ``measurement``."""
        return self._transport.json("POST", "/jobs/preflight", json=body)

    def jobs(self, status: str | None = None, dataset: str | None = None) -> Iterator[Json]:
        """Every job, newest first."""
        return self._transport.pages("/jobs", status=status, dataset=dataset)

    def job(self, job_id: str) -> Json:
        """One job as it is now."""
        return self._transport.json("GET", f"/jobs/{_part(job_id)}")

    def wait_job(self, job_id: str, on_update: Callable[[Json], None] | None = None) -> Json:
        """Wait until the job has ended, and return it: succeeded, failed or cancelled.

        ``on_update`` is called with the job about once a second, and at the end.
        """
        return self._transport.wait(f"/jobs/{_part(job_id)}", {"queued", "running"}, on_update)

    def cancel_job(self, job_id: str) -> Json:
        """Ask a queued or running job to stop."""
        return self._transport.json("POST", f"/jobs/{_part(job_id)}/cancel")

    def retry_job(self, job_id: str) -> Json:
        """Queue a new job with the same request."""
        return self._transport.json("POST", f"/jobs/{_part(job_id)}/retry")

    def delete_job(self, job_id: str) -> None:
        """Delete a job that has ended."""
        self._transport.send("DELETE", f"/jobs/{_part(job_id)}")

    def job_metrics(self, job_id: str) -> list[Json]:
        """One entry an epoch."""
        epochs: list[Json] = self._transport.json("GET", f"/jobs/{_part(job_id)}/metrics")["epochs"]
        return epochs

    def job_events(self, job_id: str) -> Iterator[Json]:
        """The job's history, oldest first."""
        return self._transport.pages(f"/jobs/{_part(job_id)}/events")

    # Models

    def models(self) -> Iterator[Json]:
        """Every model, newest first."""
        return self._transport.pages("/models")

    def model(self, ref: str) -> Json:
        """One model, by id or ``name@alias``."""
        return self._transport.json("GET", f"/models/{_part(ref)}")

    def download(self, ref: str, to: Path | str = ".", format: Literal["zip", "ckpt"] = "zip") -> Path:  # noqa: A002
        """Download a model, streamed to disk: into the file ``to``, or under its own name into the folder ``to``.

        The zip is for plain torchvision, timm or transformers, and says in its ``README.md`` how; ``ckpt`` is a
        Lightning checkpoint.
        """
        return self._transport.download(f"/models/{_part(ref)}/download", Path(to), {"format": format})

    def promote(self, ref: str, alias: str = "production") -> Json:
        """Let ``name@alias`` mean this version from the next request on; promote an earlier one to roll back."""
        return self._transport.json("PUT", f"/models/{_part(ref)}/aliases/{_part(alias)}")

    def remove_alias(self, ref: str, alias: str) -> None:
        """Take an alias from this version."""
        self._transport.send("DELETE", f"/models/{_part(ref)}/aliases/{_part(alias)}")

    def delete_model(self, model_id: str) -> None:
        """Delete a model and its aliases."""
        self._transport.send("DELETE", f"/models/{_part(model_id)}")

    def report(self, ref: str) -> Json:
        """How good a model is on items that it was not trained on."""
        return self._transport.json("GET", f"/models/{_part(ref)}/report")

    def evaluate(self, ref: str, dataset: str) -> Json:
        """Queue a job that measures a model on a data set; see :meth:`wait_job`, then its ``report``."""
        return self._transport.json("POST", f"/models/{_part(ref)}/evaluate", json={"dataset": dataset})

    def predict(
        self, model: str, inputs: Input | Iterable[Input], top_k: int | None = None, logits: bool = False
    ) -> list[Json]:
        """Classify texts or images: one entry an input, in order; an input that cannot be read has an ``error``."""
        several = [inputs] if isinstance(inputs, str | bytes | Path) else list(inputs)
        parameters = given(top_k=top_k, logits=logits or None)
        body = {"model": model, "inputs": [_encoded(item) for item in several], "parameters": parameters}
        predictions: list[Json] = self._transport.json("POST", "/predict", json=body)["predictions"]
        return predictions

    # Checkpoints

    def upload_checkpoint(self, path: Path | str, architecture: str, name: str | None = None) -> Json:
        """Upload a Lightning ``.ckpt``, or a ``.pt``, ``.pth`` or ``.safetensors`` of a state_dict, streamed from disk.

        ``architecture`` is the backbone that a part of it fits, or ``plugin/NAME``; jobs start from ``checkpoint/ID``.
        """
        path = Path(path)
        return self._transport.upload("/checkpoints", path, {"name": name or path.stem, "architecture": architecture})

    def checkpoints(self) -> Iterator[Json]:
        """Every checkpoint, newest first."""
        return self._transport.pages("/checkpoints")

    def checkpoint(self, checkpoint_id: str) -> Json:
        """One checkpoint: its parts, and those that its architecture fits."""
        return self._transport.json("GET", f"/checkpoints/{_part(checkpoint_id)}")

    def delete_checkpoint(self, checkpoint_id: str) -> None:
        """Delete a checkpoint that no queued or running job starts from."""
        self._transport.send("DELETE", f"/checkpoints/{_part(checkpoint_id)}")

    # Weights of pretrained backbones, and what the service can do

    def weights(self) -> Iterator[Json]:
        """What the local mirror of pretrained weights holds."""
        return self._transport.pages("/weights", cursor=lambda entry: f"{entry['backbone']}:{entry['weights']}")

    def add_weights(self, backbone: str, path: Path | str, weights: str = "DEFAULT") -> Json:
        """Put a weights file, or a folder of one model, into the mirror (admins only)."""
        return self._transport.upload("/weights", Path(path), {"backbone": backbone, "weights": weights})

    def remove_weights(self, backbone: str, weights: str = "DEFAULT") -> None:
        """Take an entry out of the mirror (admins only)."""
        self._transport.send("DELETE", "/weights", params={"backbone": backbone, "weights": weights})

    def backbones(self) -> Json:
        """Families, names and weights, and which can be loaded without a hub."""
        return self._transport.json("GET", "/backbones")

    def healthz(self) -> bool:
        """Whether the API's process lives."""
        return self._transport.send_unchecked("GET", "/healthz").is_success

    def readyz(self) -> bool:
        """Whether database, broker and a worker are there."""
        return self._transport.send_unchecked("GET", "/readyz").is_success


def _encoded(item: Input) -> str:
    if isinstance(item, str):
        return item
    return base64.b64encode(item.read_bytes() if isinstance(item, Path) else item).decode("ascii")


def _part(reference: str) -> str:
    """One segment of a path, whatever its characters."""
    return quote(reference, safe="@")
