"""From trained weights to a published model: bundle, parity, proof, one fenced update."""

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import torch
from sqlalchemy.orm import Session
from torch import Tensor

from models_store import bundle, ids, leases, registry
from models_store.backbones.family import Backbone
from models_store.database.tables import DatasetRow, Json
from models_store.engines import ENGINES
from models_store.errors import FinetunedError, InvalidError, UnavailableError
from models_store.network import Network
from models_store.predictor import Predictor
from models_store.spec import JobSpec
from models_store.trunks import backbone_sha256
from worker.attempt import Attempt
from worker.training.data import Data, FeatureRows, ItemRows

PARITY_TOLERANCE: Final = 1e-4
PARITY_ITEMS: Final = 64
LIBRARIES: Final = ("torch", "torchvision", "timm", "transformers", "pytorch-lightning", "pillow")


@dataclass(frozen=True)
class Outcome:
    """What training left: the best epoch's metrics, what the backbone was before, and its features where cached.

    ``features`` has ``train`` and ``validation``, or nothing where the backbone was trained or inputs were augmented.
    """

    best: Json
    strategy: str
    backbone_before: str
    features: dict[str, FeatureRows]


def export(
    attempt: Attempt,
    spec: JobSpec,
    data: Data,
    backbone: Backbone,
    network: Network,
    outcome: Outcome,
) -> None:
    """Save the network as a bundle, check what will be served from it, and publish it with the job's success.

    Raises:
        InvalidError: ``parity_failed``, the stored model does not give the trained model's logits.
    """
    attempt.progress("exporting", 0.96)
    attempt.check_stop()
    model_id = ids.new("mdl")
    directory = registry.directory(attempt.settings.store_dir, model_id)
    card = _card(attempt, spec, data, backbone, network, outcome)
    network.to("cpu").freeze()
    try:
        trunk = bundle.save(
            directory, attempt.settings.store_dir, network, backbone.architecture, backbone.preprocessing, card
        )
        parity = _parity(attempt, directory, network, data.validation)
        card = bundle.complete(directory, parity=parity)
        attempt.progress("exporting", 1.0)
        attempt.beat()
        _publish(attempt, spec, data.row, model_id, directory, trunk, card)
    except UnavailableError:
        raise  # the commit may have been made: the files stay, and a sweep removes what no row names
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _card(
    attempt: Attempt,
    spec: JobSpec,
    data: Data,
    backbone: Backbone,
    network: Network,
    outcome: Outcome,
) -> Json:
    proof = backbone_sha256(network.backbone)
    return {
        "labels": data.labels,
        "task": data.row.task,
        "backbone": spec.backbone,
        "weights": backbone.weights,
        "strategy": outcome.strategy,
        "preprocessing": backbone.preprocessing.card(),
        "dataset": data.row.id,
        "dataset_fingerprint": data.row.fingerprint,
        "job": attempt.claim.job_id,
        "training": spec.training.model_dump(mode="json"),
        "metrics": {name: outcome.best[name] for name in ("val_loss", "val_accuracy")},
        "best_epoch": outcome.best["epoch"],
        "versions": {library: version(library) for library in LIBRARIES},
        "freeze_proof": {"backbone_sha256": proof, "unchanged": proof == outcome.backbone_before},
    }


def _parity(attempt: Attempt, directory: Path, network: Network, validation: ItemRows) -> Json:
    """Compare what training computes for validation items with what serving computes from the stored files."""
    stored = bundle.load(directory, attempt.settings.store_dir)
    serving = Predictor(stored, ENGINES["torch"](stored))
    contents = validation.contents(PARITY_ITEMS)
    served = []
    for one in serving.logits(contents):
        if isinstance(one, FinetunedError):
            raise one
        served.append(one.values)
    difference = float((torch.stack(served) - _reference(network, validation, len(contents))).abs().max())
    if not difference <= PARITY_TOLERANCE:
        raise InvalidError(
            "parity_failed",
            f"The stored model's logits differ by {difference:.2g} from the trained model's, so it was not published. "
            "Please report this with the backbone's name.",
        )
    measured = {"max_abs_logit_diff": difference, "items": len(served), "passed": True}
    return {"engine": "torch", "precision": "f32", **measured}


@torch.inference_mode()
def _reference(network: Network, validation: ItemRows, items: int) -> Tensor:
    batch = validation(np.arange(items))
    batch.pop("label")
    logits: Tensor = network(batch)
    return logits


def _publish(
    attempt: Attempt, spec: JobSpec, dataset: DatasetRow, model_id: str, directory: Path, trunk: str, card: Json
) -> None:
    row = attempt.row()
    model = registry.NewModel(
        id=model_id,
        owner=row.owner,
        name=row.name,
        job_id=row.id,
        dataset_id=dataset.id,
        task=card["task"],
        backbone=spec.backbone,
        trunk=trunk,
        card=card,
        bytes=sum(file.stat().st_size for file in directory.rglob("*") if file.is_file()),
    )

    def publish(session: Session) -> Json:
        return {"model": registry.publish(session, model).id}

    leases.succeed(attempt.database, attempt.claim, publish)
