"""Jobs whose training is over, and which are to be exported."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from sqlalchemy import select

from models_store import artifacts, datasets, jobs
from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.database.engine import Database
from models_store.database.tables import DatasetRow, ModelRow
from models_store.itemset import ItemSet, ItemSetWriter
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.spec import JobSpec
from models_store.trunks import backbone_sha256
from tests.e2e.sets import picture
from tests.models_store.rows import claimed
from worker.attempt import Attempt
from worker.settings import WorkerSettings
from worker.training.caching.source import FeatureSource, kept
from worker.training.caching.ways import torch_way
from worker.training.data import Data, ItemRows
from worker.training.export import Outcome, export
from worker.training.features import Extraction

LABELS = ["빨강", "파랑"]
COLOURS = {"빨강": "red", "파랑": "blue"}
COUNTS = {"train": 8, "validation": 12, "test": 4}
BEST = {"epoch": 0, "val_loss": 0.5, "val_accuracy": 0.75}


@dataclass
class Job:
    """A job whose training is over."""

    attempt: Attempt
    spec: JobSpec
    data: Data
    backbone: Backbone
    network: Network
    outcome: Outcome

    def export(self, backbone: Backbone | None = None) -> None:
        export(self.attempt, self.spec, self.data, backbone or self.backbone, self.network, self.outcome)

    def again(self, attempt: Attempt) -> "Job":
        """The same training as another job's."""
        attempt.directory.mkdir()
        return replace(self, attempt=attempt, outcome=replace(self.outcome, source=replace(self.kept, attempt=attempt)))

    @property
    def kept(self) -> FeatureSource:
        """The source of what the backbone makes before the training."""
        assert self.outcome.source is not None
        return self.outcome.source

    def log(self) -> list[str]:
        """The lines of the job's history."""
        with self.attempt.database.read() as session:
            events = jobs.events(session, self.attempt.claim.job_id)[0]
        return [event.data["message"] for event in events if event.type == "log"]

    @property
    def store(self) -> Path:
        return self.attempt.settings.store_dir

    def models(self) -> list[ModelRow]:
        with self.attempt.database.read() as session:
            return list(session.scalars(select(ModelRow)))

    def newest(self) -> ModelRow:
        return max(self.models(), key=lambda row: row.id)

    def folders(self) -> list[Path]:
        folder = self.store / "models"
        return list(folder.iterdir()) if folder.exists() else []


def item_set(store: Path) -> str:
    """Pictures of two colours in three splits; gives the fingerprint."""
    with artifacts.temporary_directory_beside(store / "datasets" / "new") as temporary:
        with ItemSetWriter(temporary) as writer:
            for first, (split, count) in enumerate(COUNTS.items()):
                for label in sorted(LABELS):
                    for number in range(count):
                        content = picture(COLOURS[label], 100 * first + number)
                        writer.add(f"{split}/{label}/{number:02}.jpg", label, split, content)
            fingerprint = writer.finish()
        artifacts.publish_directory(temporary, datasets.directory(store, fingerprint))
    return fingerprint


def trained(attempt: Attempt, *, cached: bool) -> Job:
    """The end of a job on a backbone with random weights, its features cached or not."""
    torch.manual_seed(0)
    backbone = FAMILIES["timm"].load("test_resnet", None, Mirror(attempt.settings.store_dir), {})
    network = Network(backbone.module, backbone.architecture, len(LABELS))
    network.freeze_backbone()
    torch.nn.init.normal_(network.head.weight, std=4.0)
    row = DatasetRow(id="ds_1", task="image-classification", fingerprint=item_set(attempt.settings.store_dir))
    itemset = ItemSet(datasets.directory(attempt.settings.store_dir, row.fingerprint or ""))

    def rows(split: str) -> ItemRows:
        return ItemRows(itemset, list(itemset.items(split)), LABELS, backbone.preprocessing)

    data = Data(row, LABELS, rows("train"), rows("validation"))
    attempt.directory.mkdir(exist_ok=True)
    before, way = backbone_sha256(network.backbone), torch_way(network, torch.device("cpu"))
    source = kept(attempt, str(row.fingerprint), network, backbone.preprocessing, way, backbone=before)
    features = Extraction(attempt, data, source, network.head.in_features, seed=0).all(0.5) if cached else {}
    spec = JobSpec(dataset="ds_1", backbone="timm/test_resnet", weights=None)
    outcome = Outcome(BEST, "freeze", before, features, source)
    return Job(attempt, spec, data, backbone, network, outcome)


def started(database: Database, folder: Path) -> Attempt:
    new = jobs.NewJob("fine_tune", "ann", "색 구분", "ds_1", "timm/test_resnet")
    jobs.create(database, new)
    claim = claimed(database)
    return Attempt(database, WorkerSettings(data_dir=folder), claim, folder / claim.job_id)
