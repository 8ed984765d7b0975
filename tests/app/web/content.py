"""A service with something on every page, and names that want to be markup."""

import io
from dataclasses import dataclass

import httpx
from PIL import Image

from models_store import aliases, ids, jobs, leases, registry
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, EpochRow
from models_store.itemset import SPLITS
from models_store.keys import Caller
from models_store.reporting import stored
from tests.app.service import Example, Running, claimed, job, ready_dataset
from tests.app.web.models.reported import report

SCRIPT = "<script>alert(1)</script>"
QUOTE = "\"'><img src=x onerror=alert(1)>"


def picture(shade: int) -> bytes:
    """A small PNG of one grey."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), shade).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Content:
    """Ids of what an owner has."""

    texts: str
    images: str
    failed: str
    running: str
    ended: str
    model: str

    @property
    def addresses(self) -> list[str]:
        """Every page and part of one that shows a single object of theirs."""
        sets = [f"/ui/datasets/{one}" for one in (self.texts, self.images)]
        parts = ("", "/live", "/classes", "/samples?label=a", "/problems", "/warnings")
        works = [f"/ui/jobs/{one}{part}" for one in (self.running, self.ended) for part in ("", "/state")]
        models = [f"/ui/models/{self.model}", f"/ui/predict?model={self.model}"]
        compared = f"/ui/compare?job={self.running}&job={self.ended}"
        return [
            *(f"{one}{part}" for one in sets for part in parts),
            f"/ui/datasets/{self.failed}",
            *works,
            *models,
            compared,
        ]


def described(service: Running, dataset: str, examples: tuple[Example, ...], **columns: object) -> None:
    """Give a data set's row what an import writes: its classes, and what else is said."""
    labels = sorted({label for _, label, _, _ in examples})
    counts = [{"label": one, "count": sum(one == label for _, label, _, _ in examples)} for one in labels]
    splits = {split: sum(split == one for one, _, _, _ in examples) for split in SPLITS}
    with service.database.write() as session:
        row = session.get_one(DatasetRow, dataset)
        row.classes, row.splits = counts, splits
        for name, value in columns.items():
            setattr(row, name, value)


def fill(service: Running, client: httpx.Client) -> Content:
    """Data sets of each kind, a running job and one that has succeeded."""
    texts = (
        ("train", QUOTE, "1", SCRIPT.encode()),
        ("train", SCRIPT, "2", b"a film"),
        ("validation", SCRIPT, "3", b"x"),
    )
    text_set = ready_dataset(service, client, texts)
    problem = {"item": SCRIPT, "code": "empty_text", "message": f"{QUOTE} is empty."}
    described(service, text_set, texts, name=SCRIPT, problems=[problem], warnings=[problem])
    images = tuple(("train", "a", f"{QUOTE}{n:03d}.png", picture(n)) for n in range(70))
    image_set = ready_dataset(service, client, images, "image-classification")
    described(service, image_set, images)
    ended = job(client, text_set, name=QUOTE)["id"]
    _end(service.database, claimed(service), ended)
    running = job(client, text_set, name=SCRIPT, training={"max_epochs": 3})["id"]
    claim = claimed(service)
    with service.database.write() as session:
        jobs.record(session, claim.job_id, "log", {"message": SCRIPT})
    return Content(text_set, image_set, _failed(service, client), running, ended, _model(service, text_set, ended))


def _model(service: Running, dataset: str, job_id: str) -> str:
    """A model with a report and an alias. Its weights are not there: no page needs them."""
    labels = [QUOTE, SCRIPT, "b"]
    model_id = ids.new("mdl")
    with service.database.write() as session:
        owner = session.get_one(DatasetRow, dataset).owner
        card = {"labels": labels, "metrics": {"val_accuracy": 0.9}, "preprocessing": {}, "training": {"seed": SCRIPT}}
        new = registry.NewModel(
            id=model_id,
            owner=owner,
            name=SCRIPT,
            job_id=job_id,
            dataset_id=dataset,
            task="text-classification",
            backbone=QUOTE,
            trunk="t",
            card=card,
            bytes=1,
        )
        registry.publish(session, new)
    directory = registry.directory(service.settings.store_dir, model_id)
    directory.mkdir(parents=True)
    stored.write(directory, report(model_id, labels))
    aliases.move(service.database, model_id, "production", caller=Caller(owner, "user"))
    return model_id


def _end(database: Database, claim: leases.Claim, job_id: str) -> None:
    with database.write() as session:
        metrics = {"train_loss": 0.5, "val_loss": 0.4, "val_accuracy": 0.9, "lr": {"head": 0.1}}
        session.add(EpochRow(job_id=job_id, epoch=0, metrics=metrics))
        jobs.record(session, job_id, "metrics", {"epoch": 0, **metrics})
    leases.fail(database, claim, {"code": "weights_unavailable", "message": SCRIPT, "param": None})


def _failed(service: Running, client: httpx.Client) -> str:
    answer = client.post("/datasets", files={"file": ("a.csv", b"text,label\n")}, data={"name": SCRIPT})
    leases.fail(
        service.database, claimed(service, "light"), {"code": "too_few_items", "message": SCRIPT, "param": None}
    )
    return str(answer.json()["id"])
