"""An evaluation from its row to its report; read :func:`run` from top to bottom."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from sqlalchemy.orm import Session
from torch import Tensor

from models_store import bundle, datasets, leases, registry, spans
from models_store.abstaining import RARE
from models_store.agreement import check_labels, check_task
from models_store.database.tables import DatasetRow, Json, ModelRow
from models_store.engines.choosing import open_for
from models_store.errors import FinetunedError, InvalidError
from models_store.itemset import SPLITS, ItemSet
from models_store.predictor import Judged, Predictor
from models_store.reporting.report import Scored, figures
from models_store.storage import needs
from worker.attempt import Attempt

BATCH: Final = 32
EVALUATED: Final = 0.98
"""The fraction of the job that is done when every item is."""


@dataclass(frozen=True)
class _Answers:
    scored: Scored
    outlying: Tensor | None
    """How far out each item is, float64 [N]; ``None`` where the model does not tell."""


def run(attempt: Attempt) -> None:
    """Ask the model for every item of the set, and store the report with the job.

    An attempt that was cut off leaves nothing behind; the next one starts from the first item.

    Raises:
        FinetunedError: it cannot be done; the reason is for the job's owner.
    """
    attempt.progress("loading", 0.0)
    model, dataset = _rows(attempt)
    check_task(model, dataset)
    check_labels(model, dataset)
    store_dir = attempt.settings.store_dir
    needs.hold_model(attempt.storage, store_dir, model.id)
    attempt.storage.hold(datasets.directory(store_dir, dataset.fingerprint or ""))
    stored = bundle.read(registry.directory(store_dir, model.id))
    predictor = Predictor(stored, open_for(store_dir, stored.card))
    with ItemSet(datasets.directory(store_dir, dataset.fingerprint or "")) as itemset:
        answers = _answers(attempt, predictor, itemset)
    attempt.check_stop()
    _store(attempt, model, _report(model, dataset, predictor, answers))


def _rows(attempt: Attempt) -> tuple[ModelRow, DatasetRow]:
    config = attempt.row().config
    with attempt.database.read() as session:
        model = registry.get(session, config["model"], owner=None)
        dataset = datasets.get(session, config["dataset"], owner=None)
    if dataset.status != "ready":
        raise InvalidError("dataset_failed", f"The import of {dataset.id} failed. Upload the data set anew.")
    return model, dataset


@spans.parted("evaluating")
def _answers(attempt: Attempt, predictor: Predictor, itemset: ItemSet) -> _Answers:
    """Items of like size are asked together, so that a batch of texts is hardly padded; rows are in the set's order."""
    items = list(itemset.items())
    numbers = {label: number for number, label in enumerate(predictor.labels)}
    logits = _logits_file(attempt, len(items), len(predictor.labels))
    outlying = torch.full((len(items),), torch.nan, dtype=torch.float64)
    order = sorted(range(len(items)), key=lambda row: items[row].length)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        for row, one in zip(rows, predictor.judged([itemset.content(items[row]) for row in rows]), strict=True):
            found = _checked(one, items[row].name)
            logits[row] = found.logits
            outlying[row] = torch.nan if found.outlying is None else found.outlying
        attempt.check_stop()
        attempt.progress("evaluating", EVALUATED * (start + len(rows)) / len(order))
    labels = torch.tensor([numbers[item.label] for item in items], dtype=torch.long)
    return _Answers(Scored(items, logits, labels), None if outlying.isnan().any() else outlying)


def _logits_file(attempt: Attempt, items: int, classes: int) -> Tensor:
    """Large sets of many classes do not fit into memory."""
    path = attempt.directory / "logits"
    return torch.from_numpy(np.memmap(path, dtype=np.float32, mode="w+", shape=(items, classes)))


def _checked(one: Judged | FinetunedError, name: str) -> Judged:
    if isinstance(one, FinetunedError):
        message = f"Item {name!r} was imported but cannot be read now: {one.message} Upload the data set anew."
        raise InvalidError("dataset_damaged", message)
    return one


@spans.parted("report")
def _report(model: ModelRow, dataset: DatasetRow, predictor: Predictor, answers: _Answers) -> Json:
    scored, labels, temperature = answers.scored, predictor.labels, predictor.temperature
    parts = {name: scored.split(name) for name in SPLITS}
    return {
        "object": "report",
        "model": model.id,
        "dataset": dataset.id,
        "labels": labels,
        **figures("all", scored, labels, temperature),
        "far_out": None if answers.outlying is None else float((answers.outlying > 1 - RARE).double().mean()),
        "splits": {name: figures(name, part, labels, temperature) for name, part in parts.items() if part.items},
    }


def _store(attempt: Attempt, model: ModelRow, report: Json) -> None:
    summary: dict[str, Any] = {name: report[name] for name in ("accuracy", "loss")}
    attempt.progress("evaluating", 1.0)
    leases.write(attempt.database, attempt.claim, metrics={**summary, "ece": report["calibration"]["ece_after"]})

    def publish(_session: Session) -> Json:
        return {"model": model.id, "report": report}

    leases.succeed(attempt.database, attempt.claim, publish)
