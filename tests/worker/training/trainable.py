"""A claimed job on a small stored data set, and what the recipe makes of it before it trains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from finetuned_test_plugins import Tiny, Words
from PIL import Image
from sqlalchemy.orm import Session
from torch import nn

from models_store import datasets, jobs, leases
from models_store.backbones.family import IMAGES, TEXTS, Architecture, Backbone
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import Json
from models_store.itemset import ItemSet, ItemSetWriter
from models_store.network import Network
from models_store.preprocessing.protocol import Preprocessing
from models_store.spec import JobSpec
from models_store.trunks import backbone_sha256
from tests.models_store.rows import claimed, new_dataset
from tests.models_store.samples import encoded
from worker.attempt import Attempt
from worker.settings import WorkerSettings
from worker.training import hardware
from worker.training.caching.source import kept
from worker.training.caching.ways import torch_way
from worker.training.data import Data, ItemRows
from worker.training.features import Extraction
from worker.training.planning import Planning
from worker.training.preparing import Prepared

LABELS = ("dark", "light")


def picture(label: str, number: int) -> bytes:
    """Grey noise, dark or light; some are hard to tell."""
    chance = np.random.default_rng((LABELS.index(label), number))
    middle = {"dark": 90, "light": 160}[label] + chance.normal(0, 25)
    pixels = np.clip(chance.normal(middle, 40, (24, 24, 3)), 0, 255).astype(np.uint8)
    return encoded(Image.fromarray(pixels))


def sentence(label: str, number: int) -> bytes:
    """Words that the plugin's vocabulary has."""
    words = {"dark": ["bad", "나쁜"], "light": ["good", "좋은"]}[label]
    return f"film {words[number % 2]} word 영화 {number}".encode()


@dataclass
class Trainable:
    """What a training starts from; ``again()`` is the same for the next attempt."""

    attempt: Attempt
    data: Data
    network: Network
    preprocessing: Preprocessing
    extraction: Extraction
    spec: JobSpec

    def settle(self) -> tuple[JobSpec, Json]:
        """Plan, as the recipe does."""
        return Planning(self.attempt, self.ready()).settle()

    def ready(self) -> Prepared:
        """As the recipe prepares it."""
        network = self.network
        backbone = Backbone(network.architecture, network.backbone, self.preprocessing, None)
        sha256 = backbone_sha256(network.backbone)
        return Prepared(self.spec, backbone, self.data, network, sha256, self.extraction)

    def again(self, module: nn.Module | None = None) -> "Trainable":
        """As another process finds the job."""
        return _opened(self.attempt, self.data, module or type(self.network.backbone)())

    def log(self) -> list[str]:
        """The lines of the job's history."""
        with self.attempt.database.read() as session:
            events, _ = jobs.events(session, self.attempt.claim.job_id)
            return [event.data["message"] for event in events if event.type == "log"]


def trainable(
    folder: Path,
    *,
    per_class: Sequence[int] = (12, 12),
    validation: int = 6,
    module: nn.Module | None = None,
    settings: Json | None = None,
    **spec: object,
) -> Trainable:
    """A job whose ``spec`` differs from the defaults in this; ``per_class`` training items of dark and light."""
    worker = WorkerSettings(data_dir=folder / "data", **(settings or {}))
    worker.data_dir.mkdir(parents=True)
    database = Database(worker.resolved_database_url)
    migrate(database)
    module = module or Tiny()
    make = sentence if isinstance(module, Words) else picture
    row = _stored(database, worker, make, per_class, validation, TEXTS if isinstance(module, Words) else IMAGES)
    asked = JobSpec.model_validate({"dataset": row, "backbone": "plugin/tiny", **spec})
    config = asked.model_dump(mode="json")
    jobs.create(database, jobs.NewJob("fine_tune", "ann", "job", row, asked.backbone, config, config))
    directory = folder / "scratch"
    directory.mkdir(parents=True)
    attempt = Attempt(database, worker, claimed(database), directory)
    with database.read() as session:
        dataset = datasets.get(session, row, owner=None)
    itemset = ItemSet(datasets.directory(worker.store_dir, str(dataset.fingerprint)))
    rows = {
        split: ItemRows(itemset, list(itemset.items(split)), LABELS, module.preprocessing)  # type: ignore[arg-type]
        for split in ("train", "validation")
    }
    return _opened(attempt, Data(dataset, list(LABELS), rows["train"], rows["validation"]), module)


def _opened(attempt: Attempt, data: Data, module: nn.Module) -> Trainable:
    torch.manual_seed(0)
    spec = JobSpec.model_validate(attempt.row().config)
    spec = spec.model_copy(update={"training": hardware.resolve_accelerator(spec.training)})
    task, width = (TEXTS, 8) if isinstance(module, Words) else (IMAGES, 16)
    network = Network(module, Architecture("plugin", "tiny", task, width, {}), len(LABELS))
    preprocessing: Preprocessing = module.preprocessing  # type: ignore[assignment]
    way = torch_way(network, hardware.device(spec.training))
    sha256 = backbone_sha256(module)
    source = kept(attempt, str(data.row.fingerprint), network, preprocessing, way, backbone=sha256)
    extraction = Extraction(attempt, data, source, width, seed=spec.training.seed)
    return Trainable(attempt, data, network, preprocessing, extraction, spec)


def _stored(
    database: Database,
    settings: WorkerSettings,
    make: Callable[[str, int], bytes],
    per_class: Sequence[int],
    validation: int,
    task: str,
) -> str:
    row, _ = new_dataset(database)
    folder = settings.store_dir / "datasets" / "draft"
    folder.mkdir(parents=True)
    with ItemSetWriter(folder) as writer:
        for split, counts in (("train", per_class), ("validation", (validation, validation))):
            for label, count in zip(LABELS, counts, strict=True):
                for number in range(count):
                    content = make(label, number + (10_000 if split == "validation" else 0))
                    writer.add(f"{split}/{label}/{number:05}", label, split, content)
        fingerprint = writer.finish()
    folder.rename(datasets.directory(settings.store_dir, fingerprint))
    claim = claimed(database, "light")

    def publish(session: Session) -> Json:
        classes = [{"label": label, "count": count} for label, count in zip(LABELS, per_class, strict=True)]
        splits = {"train": sum(per_class), "validation": 2 * validation, "test": 0}
        datasets.mark_ready(session, row.id, fingerprint=fingerprint, classes=classes, splits=splits, task=task)
        return {"dataset": row.id}

    leases.succeed(database, claim, publish)
    return row.id
