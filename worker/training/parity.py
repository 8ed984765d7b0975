"""Whether what was stored serves what was trained."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from models_store import trunks
from models_store.artifacts import write_atomic
from models_store.bundle import Bundle
from models_store.database.tables import Json
from models_store.engines import ENGINES
from models_store.errors import FinetunedError, InvalidError
from models_store.predictor import Predictor
from models_store.reporting.sampling import spread_over_classes
from worker.attempt import Attempt
from worker.training.report import Measured

TOLERANCE: Final = 1e-4
ITEMS: Final = 256
"""The whole validation split up to here, beyond it a sample of every class."""
START: Final = 0.985
END: Final = 0.998
_PASS_BATCH: Final = 32
_KEPT: Final = 16
"""Certificates of one trunk that are kept, each for another data set."""


def certify(attempt: Attempt, stored: Bundle, measured: Measured, *, engine: str, keep: bool) -> Json:
    """Compare the logits that training computed with those that serving computes from raw bytes and stored files.

    What serving made of the items before the head depends on trunk, preprocessing, engine and data alone. With ``keep``
    it is kept with the trunk under their hashes, and the next head on the same needs no pass of its own; the
    certificate then says ``reused``.

    Raises:
        InvalidError: ``parity_failed``, they differ by more than ``TOLERANCE``.
    """
    predictor = Predictor(stored, ENGINES[engine](stored))
    rows = spread_over_classes(measured.validation.labels, ITEMS)
    path = _path(attempt.settings.store_dir, stored, measured, engine)
    features = _kept(path, len(rows), stored.architecture.width) if keep else None
    reused = features is not None
    if features is None:
        features = _serve(attempt, predictor, measured, rows)
    difference = float((predictor.head(features) - measured.validation.logits[rows]).abs().max())
    if not difference <= TOLERANCE:
        raise InvalidError(
            "parity_failed",
            f"The stored model's logits differ by {difference:.2g} from the trained model's, so it was not published. "
            "Please report this with the backbone's name.",
        )
    if keep and not reused:
        _keep(path, features)
    measurement = {"max_abs_logit_diff": difference, "items": len(rows), "passed": True, "reused": reused}
    return {"engine": engine, "precision": "f32", **measurement}


def _serve(attempt: Attempt, predictor: Predictor, measured: Measured, rows: Tensor) -> Tensor:
    """Features [len(rows), width] from raw bytes, by the path of ``POST /predict``; items of like size go together."""
    items = [measured.validation.items[row] for row in rows.tolist()]
    order = sorted(range(len(items)), key=lambda place: items[place].length)
    served = []
    for start in range(0, len(order), _PASS_BATCH):
        contents = [measured.itemset.content(items[place]) for place in order[start : start + _PASS_BATCH]]
        features, prepared = predictor.features(contents)
        served.append(features)
        for one in prepared:
            if isinstance(one, FinetunedError):
                raise one
        attempt.check_stop()
        attempt.progress("exporting", START + (END - START) * (start + len(contents)) / len(order))
    return torch.cat(served)[torch.tensor(order).argsort()]


def _path(store_dir: Path, stored: Bundle, measured: Measured, engine: str) -> Path:
    decides = [
        stored.preprocessing.sha256(),
        engine,
        torch.__version__,
        measured.itemset.directory.name,
        ITEMS,
    ]
    name = hashlib.sha256(json.dumps(decides).encode()).hexdigest()
    return trunks.directory(store_dir, stored.card["trunk"]) / "served" / f"{name}.safetensors"


def _kept(path: Path, items: int, width: int) -> Tensor | None:
    try:
        features = load_file(path)["features"]
    except (FileNotFoundError, SafetensorError):
        return None
    return features if features.shape == (items, width) else None


def _keep(path: Path, features: Tensor) -> None:
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, save({"features": features}))
    with contextlib.suppress(FileNotFoundError):  # another job may be doing the same
        for oldest in sorted(path.parent.glob("*.safetensors"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
            oldest.unlink()
