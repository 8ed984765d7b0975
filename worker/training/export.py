"""From trained weights to a published model: bundle, parity, proof, one fenced update."""

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from models_store import bundle, ids, leases, registry, spans, trunks
from models_store.backbones.family import Backbone
from models_store.database.tables import DatasetRow, Json
from models_store.errors import UnavailableError
from models_store.network import Network
from models_store.spec import JobSpec
from models_store.storage import needs
from models_store.trunks import backbone_sha256
from worker.attempt import Attempt
from worker.training import hardware, report
from worker.training.caching.source import FeatureSource
from worker.training.caching.ways import torch_way
from worker.training.data import Data, FeatureRows
from worker.training.parity import Certifier
from worker.training.serving import engines

LIBRARIES: Final = ("torch", "torchvision", "timm", "transformers", "pytorch-lightning", "pillow")


@dataclass(frozen=True)
class Outcome:
    """What training left: the best epoch's metrics, what the backbone was before, and its features where cached.

    ``features`` has ``train`` and ``validation``, or nothing where the backbone was trained or inputs were augmented.
    ``source`` gives the features that the backbone made before the training.
    """

    best: Json
    strategy: str
    backbone_before: str
    features: dict[str, FeatureRows]
    source: FeatureSource | None = None


def export(
    attempt: Attempt,
    spec: JobSpec,
    data: Data,
    backbone: Backbone,
    network: Network,
    outcome: Outcome,
) -> None:
    """Measure the network, save it as a bundle, check what will be served from it, and publish it as the job ends.

    Raises:
        InvalidError: ``parity_failed``, the stored model does not give the trained model's logits.
    """
    attempt.progress("exporting", report.START)
    attempt.check_stop()
    model_id = ids.new("mdl")
    store_dir = attempt.settings.store_dir
    directory = registry.directory(store_dir, model_id)
    card = _card(attempt, spec, data, backbone, network, outcome)
    device = hardware.device(spec.training)
    network.to(device).freeze()
    untouched = outcome.source if card["freeze_proof"]["unchanged"] else None
    source = untouched or FeatureSource(attempt, torch_way(network, device))
    measured = report.measure(attempt, data, backbone, network, outcome.features, source)
    card = {**card, "temperature": measured.temperature, "metrics": {**card["metrics"], **measured.metrics}}
    try:
        trunk = bundle.save(
            directory,
            store_dir,
            network.to("cpu"),
            backbone.architecture,
            backbone.preprocessing,
            card,
            report={**measured.report, "model": model_id},
            outliers=measured.outliers,
        )
        stored = bundle.read(directory)
        parity = Certifier(
            attempt, stored, measured, keep=bool(outcome.features), by_torch=source.way.by_torch
        ).certificate(engines(attempt, trunk, network, data.validation))
        card = bundle.complete(directory, parity=parity)
        attempt.progress("exporting", 1.0)
        attempt.beat()
        attempt.storage.hold(directory)
        for folder in _stored(attempt, directory, trunk):
            attempt.storage.push(folder)
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


@spans.parted("publish")
def _publish(
    attempt: Attempt, spec: JobSpec, dataset: DatasetRow, model_id: str, directory: Path, trunk: str, card: Json
) -> None:
    row = attempt.row()
    own_trunk = [] if card["freeze_proof"]["unchanged"] else [trunks.directory(attempt.settings.store_dir, trunk)]
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
        bytes=sum(_size(folder) for folder in (directory, *own_trunk)),
    )

    def publish(session: Session) -> Json:
        for folder in _stored(attempt, directory, trunk):
            attempt.storage.push(folder)  # unless it is there, as ever, but for a trunk on which nothing has stood
        return {"model": registry.publish(session, model).id}

    spans.note({"finetuned.model.id": model_id})

    leases.succeed(attempt.database, attempt.claim, publish)


def _stored(attempt: Attempt, directory: Path, trunk: str) -> list[Path]:
    """The folders of a model: the trunk, its graph where there is one, and the bundle."""
    found = [*needs.of_trunk(attempt.settings.store_dir, trunk), directory]
    return [folder for folder in found if folder.is_dir()]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
