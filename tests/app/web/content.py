"""A service with something on every page, and names that want to be markup."""

import io
from dataclasses import dataclass

import httpx
from PIL import Image

from models_store import jobs, leases
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, EpochRow
from models_store.itemset import SPLITS
from tests.app.service import Example, Running, claimed, job, ready_dataset

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

    @property
    def addresses(self) -> list[str]:
        """Every page and part of one that shows a single object of theirs."""
        sets = [f"/ui/datasets/{one}" for one in (self.texts, self.images)]
        parts = ("", "/live", "/classes", "/samples?label=a", "/problems", "/warnings")
        works = [f"/ui/jobs/{one}{part}" for one in (self.running, self.ended) for part in ("", "/state")]
        return [*(f"{one}{part}" for one in sets for part in parts), f"/ui/datasets/{self.failed}", *works]


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
    return Content(text_set, image_set, _failed(service, client), running, ended)


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
