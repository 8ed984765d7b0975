"""Whether what was stored serves what was trained, and by which engine."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from models_store import leases, spans, trunks
from models_store.artifacts import write_atomic
from models_store.bundle import StoredModel
from models_store.database.tables import Json
from models_store.engines import ENGINES, EngineUnavailableError, Precision, conversion
from models_store.errors import FinetunedError, InvalidError
from models_store.feature_cache import folders
from models_store.predictor import Predictor
from models_store.reporting.sampling import spread_over_classes
from worker.attempt import Attempt
from worker.training.report import Measured

TOLERANCE: Final = 1e-4
ITEMS: Final = 256
"""The whole validation split up to here, beyond it a sample of every class."""
REFERENCES: Final = 16
"""Items that PyTorch is asked for as well, where the training's own features are not PyTorch's."""
GATE_ITEMS: Final = 2_000
"""As ``ITEMS``, for what is asked of bfloat16."""
GATE_TOLERANCE: Final = 0.01
"""By how much bfloat16 may move a probability."""
START: Final = 0.985
END: Final = 0.998
REFERENCE_ENGINE: Final = "torch"
_PASS_BATCH: Final = 32
_KEPT: Final = 32
"""Files of features of one trunk that are kept, each for a data set, an engine and a precision."""


@dataclass(frozen=True)
class Certifier:
    """Compares the logits that training computed with those that serving computes from raw bytes and stored files.

    What serving makes of items before the head depends on trunk, preprocessing, engine and data alone. With ``keep`` it
    is kept with the trunk under their hashes, and the next head on the same needs no pass of its own.

    Args:
        keep: features of this trunk are of use to later jobs: it is not this job's own.
        by_torch: the training's logits are PyTorch's; where they are not, PyTorch is asked as well.
    """

    attempt: Attempt
    stored: StoredModel
    measured: Measured
    keep: bool
    by_torch: bool

    @spans.parted("parity")
    def certificate(self, engines: list[str]) -> Json:
        """That of the first engine that agrees. ``reused`` tells that it took no pass.

        Raises:
            InvalidError: ``parity_failed``, even PyTorch differs by more than ``TOLERANCE``.
        """
        difference = float("nan")
        for engine in engines:
            try:
                difference, asked = self._compared(engine)
            except EngineUnavailableError as error:
                self._log(f"{engine} does not serve this model: {error}")
                continue
            if difference <= TOLERANCE:
                items = min(ITEMS, len(self.measured.validation.labels))
                reused = all(one.reused for one in asked)
                measurement = {"max_abs_logit_diff": difference, "items": items, "passed": True, "reused": reused}
                self._keep(asked)
                return {"engine": engine, "precision": "f32", **measurement, **self._gate(engine)}
            self._log(f"{engine} does not serve this model: its logits differ by {difference:.2g}")
        raise InvalidError(
            "parity_failed",
            f"The stored model's logits differ by {difference:.2g} from the trained model's, so it was not published. "
            "Please report this with the backbone's name.",
        )

    def _compared(self, engine: str) -> tuple[float, list["_Served"]]:
        """The largest difference, and what was asked for it."""
        labels = self.measured.validation.labels
        rows = spread_over_classes(labels, ITEMS)
        served = self._served(engine, "f32", rows)
        difference = _largest(served.logits, self.measured.validation.logits[rows])
        if self.by_torch or engine == REFERENCE_ENGINE:
            return difference, [served]
        few = spread_over_classes(labels, REFERENCES)  # some of the rows
        reference = self._served(REFERENCE_ENGINE, "f32", few)
        agreed = _largest(served.logits[torch.isin(rows, few)], reference.logits)
        return max(difference, agreed), [served, reference]

    def _gate(self, engine: str) -> Json:
        """Whether bfloat16 answers alike, where the operator wants it so and the engine has it."""
        if self.attempt.settings.serving_precision == "f32":
            return {}
        rows = spread_over_classes(self.measured.validation.labels, GATE_ITEMS)
        try:
            served = self._served(engine, "bf16", rows)
        except EngineUnavailableError:
            return {}
        self._keep([served])
        temperature = self.measured.temperature
        before = torch.softmax(self.measured.validation.logits[rows] / temperature, dim=1)
        after = torch.softmax(served.logits / temperature, dim=1)
        changed = int((before.argmax(dim=1) != after.argmax(dim=1)).sum())
        moved = _largest(before, after)
        passed = changed == 0 and moved <= GATE_TOLERANCE
        return {
            "bf16": {"items": len(rows), "labels_changed": changed, "max_probability_change": moved, "passed": passed}
        }

    def _served(self, engine: str, precision: Precision, rows: Tensor) -> "_Served":
        path = self._path(engine, precision, rows)
        features = _kept(path, len(rows), self.stored.weight.shape[1]) if self.keep else None
        reused = features is not None
        if features is None:
            store_dir = self.attempt.settings.store_dir
            predictor = Predictor(self.stored, ENGINES[engine](store_dir, self.stored.card["trunk"], precision))
            features = self._serve(predictor, rows)
        logits = torch.nn.functional.linear(features, self.stored.weight, self.stored.bias)
        return _Served(path, features, logits, reused)

    def _keep(self, asked: "list[_Served]") -> None:
        for one in asked:
            if self.keep and not one.reused:
                _keep(one.path, one.features)

    def _serve(self, predictor: Predictor, rows: Tensor) -> Tensor:
        """Features [len(rows), width] from raw bytes, by the path of ``POST /predict``; like sizes go together."""
        items = [self.measured.validation.items[row] for row in rows.tolist()]
        order = sorted(range(len(items)), key=lambda place: items[place].length)
        served = []
        for places in _parts(order):
            contents = [self.measured.itemset.content(items[place]) for place in places]
            features, prepared = predictor.features(contents)
            served.append(features)
            for one in prepared:
                if isinstance(one, FinetunedError):
                    raise one
            self.attempt.check_stop()
            self.attempt.progress("exporting", START + (END - START) * len(served) * _PASS_BATCH / (2 * len(order)))
        return torch.cat(served)[torch.tensor(order).argsort()]

    def _path(self, engine: str, precision: Precision, rows: Tensor) -> Path:
        decides = [
            self.stored.preprocessing.sha256(),
            engine,
            precision,
            [version(library) for library in ("torch", "torchvision", "timm", "transformers", "openvino")],
            conversion.meta(conversion.folder(self.attempt.settings.store_dir, self.stored.card["trunk"])),
            self.measured.itemset.directory.name,
            len(rows),
        ]
        name = hashlib.sha256(json.dumps(decides).encode()).hexdigest()
        folder = trunks.directory(self.attempt.settings.store_dir, self.stored.card["trunk"])
        return folder / folders.SERVED / self.measured.itemset.directory.name / f"{name}.safetensors"

    def _log(self, message: str) -> None:
        held = self.attempt.claim
        self.attempt.persist(lambda: leases.log(self.attempt.database, held, message))


@dataclass(frozen=True)
class _Served:
    path: Path
    features: Tensor
    logits: Tensor
    reused: bool


def _largest(some: Tensor, others: Tensor) -> float:
    return float((some - others).abs().max())


def _parts(order: list[int]) -> Iterator[list[int]]:
    return (order[start : start + _PASS_BATCH] for start in range(0, len(order), _PASS_BATCH))


def _kept(path: Path, items: int, width: int) -> Tensor | None:
    try:
        features = load_file(path)["features"]
    except (FileNotFoundError, SafetensorError):
        return None
    return features if features.shape == (items, width) else None


def _keep(path: Path, features: Tensor) -> None:
    with contextlib.suppress(OSError):  # it only saves time; and another job may be doing the same
        for folder in (path.parent.parent, path.parent):  # not the trunk's own: that may have been removed
            folder.mkdir(exist_ok=True)
        write_atomic(path, save({"features": features}))
        for oldest in sorted(path.parent.glob("*.safetensors"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
            oldest.unlink()
