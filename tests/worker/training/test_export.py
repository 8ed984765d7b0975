"""What is published is measured first, and is nothing else than what was trained; or it is not published."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sqlalchemy import select

from models_store import artifacts, bundle, datasets, jobs, leases, processors, registry
from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone, Batch
from models_store.database.engine import Database
from models_store.database.migrate import migrate
from models_store.database.tables import DatasetRow, ModelRow
from models_store.engines import ENGINES, Engine, Precision
from models_store.errors import FinetunedError
from models_store.itemset import ItemSet, ItemSetWriter
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.preprocessing.image import ImagePreprocessing
from models_store.reporting import stored
from models_store.spec import JobSpec
from models_store.trunks import backbone_sha256
from tests.e2e.sets import picture
from tests.models_store.rows import claimed
from worker.attempt import Attempt
from worker.child import run_to_end
from worker.settings import WorkerSettings
from worker.training import serving
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


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(WorkerSettings(data_dir=tmp_path).resolved_database_url)
    migrate(database)
    yield database
    database.close()


def started(database: Database, folder: Path) -> Attempt:
    new = jobs.NewJob("fine_tune", "ann", "색 구분", "ds_1", "timm/test_resnet")
    jobs.create(database, new)
    claim = claimed(database)
    return Attempt(database, WorkerSettings(data_dir=folder), claim, folder / claim.job_id)


@pytest.fixture(params=[True, False], ids=["cached", "passed"])
def job(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Job:
    return trained(started(database, tmp_path), cached=request.param)


@pytest.fixture
def frozen(database: Database, tmp_path: Path) -> Job:
    return trained(started(database, tmp_path), cached=True)


def test_the_report_is_what_the_stored_model_makes_of_the_whole_validation_split(job: Job) -> None:
    job.export()
    (row,) = job.models()
    report = stored.read(registry.directory(job.store, row.id))
    loaded = bundle.load(registry.directory(job.store, row.id), job.store)
    with torch.inference_mode():
        batch = job.data.validation(torch.arange(24).numpy())
        said = loaded.network({"pixels": batch["pixels"]}).argmax(dim=1)
    right = said == batch["label"]
    assert (report["model"], report["labels"], report["split"]) == (row.id, LABELS, "validation")
    assert report["items"] == 24
    assert report["accuracy"] == pytest.approx(float(right.double().mean()))
    matrix = [[int(((batch["label"] == a) & (said == b)).sum()) for b in range(2)] for a in range(2)]
    assert report["confusion_matrix"] == matrix
    names = {entry["name"] for entry in report["mistakes"]}
    items = list(ItemSet(datasets.directory(job.store, job.data.row.fingerprint or "")).items("validation"))
    assert names == {item.name for item, good in zip(items, right, strict=True) if not good}
    assert report["splits"]["test"]["items"] == 8


def test_the_card_has_the_temperature_and_the_errors_of_the_test_split(job: Job) -> None:
    job.export()
    card = job.models()[0].card
    report = stored.read(registry.directory(job.store, job.models()[0].id))
    assert card["temperature"] == report["calibration"]["temperature"] > 1.0
    assert report["calibration"]["method"] == "cross_fitted"
    test = report["splits"]["test"]
    assert test["calibration"]["method"] == "as_served"
    assert card["metrics"] == {
        "val_loss": BEST["val_loss"],
        "val_accuracy": BEST["val_accuracy"],
        "ece": test["calibration"]["ece_after"],
        "ece_before": test["calibration"]["ece_before"],
        "test_accuracy": test["accuracy"],
    }
    assert card["freeze_proof"]["unchanged"] is True


def test_validation_items_are_told_to_be_of_the_kind_of_the_training_ones(job: Job) -> None:
    job.export()
    loaded = bundle.load(registry.directory(job.store, job.models()[0].id), job.store)
    assert loaded.outliers is not None
    with torch.inference_mode():
        features = loaded.network.features({"pixels": job.data.validation(torch.arange(24).numpy())["pixels"]})
    shares = sorted(loaded.outliers.share_closer(features).tolist())
    assert shares == pytest.approx([row / 24 for row in range(24)], abs=1.5 / 24)


def test_progress_moves_while_a_model_is_exported(job: Job) -> None:
    job.export()
    with job.attempt.database.read() as session:
        events = jobs.events(session, job.attempt.claim.job_id)[0]
    told = [event.data["fraction"] for event in events if event.data.get("phase") == "exporting"]
    assert told[0] == pytest.approx(0.95)
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_the_certificate_says_what_was_compared(job: Job) -> None:
    job.export()
    parity = job.models()[0].card["parity"]
    assert parity["max_abs_logit_diff"] <= 1e-4
    assert (parity["engine"], parity["precision"], parity["items"]) == ("openvino", "f32", 24)
    assert (parity["passed"], parity["reused"]) == (True, False)


@dataclass(frozen=True)
class Liar(ImagePreprocessing):
    """Says that it subtracts another mean than it does: what is stored is not what was trained with."""

    def card(self) -> dict[str, Any]:
        return {**super().card(), "mean": [mean + 0.02 for mean in self.mean]}


def lying(backbone: Backbone) -> Backbone:
    honest = backbone.preprocessing
    assert isinstance(honest, ImagePreprocessing)
    return replace(backbone, preprocessing=Liar(**vars(honest)))


def test_a_model_that_would_be_served_otherwise_than_it_was_trained_is_not_published(job: Job) -> None:
    ended = run_to_end(job.attempt, lambda _attempt: job.export(lying(job.backbone)))
    row = job.attempt.row()
    assert ended == 1
    assert (row.state, (row.error or {})["code"], row.result) == ("failed", "parity_failed", None)
    assert job.models() == []
    assert job.folders() == []
    assert list(job.store.glob("trunks/*/served/*")) == []


class Watched:
    """Another engine, of which is known what it was asked for, and which may compute only almost what it should."""

    def __init__(self, name: str, factor: float = 1.0) -> None:
        self._open, self._factor = ENGINES[name], factor
        self.asked = 0

    def __call__(self, store_dir: Path, trunk: str, precision: Precision) -> Engine:
        self._engine = self._open(store_dir, trunk, precision)
        self.nbytes, self.parallel = self._engine.nbytes, self._engine.parallel
        return self

    def features(self, batch: Batch) -> torch.Tensor:
        self.asked += len(batch["pixels"])
        return self._engine.features(batch) * self._factor


def watched(monkeypatch: pytest.MonkeyPatch, name: str, factor: float = 1.0) -> Watched:
    engine = Watched(name, factor)
    monkeypatch.setitem(ENGINES, name, engine)  # an engine is chosen by name, and there is no broken one
    return engine


def test_an_engine_that_drifts_is_not_served_from(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, "openvino", 1.001)
    frozen.export()
    assert frozen.newest().card["parity"]["engine"] == "torch"
    assert any("openvino does not serve this model: its logits differ by" in line for line in frozen.log())


def test_where_every_engine_drifts_nothing_is_published(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("openvino", "torch"):
        watched(monkeypatch, name, 1.001)
    with pytest.raises(FinetunedError) as refusal:
        frozen.export()
    assert refusal.value.code == "parity_failed"
    assert (frozen.models(), frozen.folders()) == ([], [])
    assert list(frozen.store.glob("trunks/*/served/*")) == []


def by_openvino(job: Job) -> Job:
    """The same, of features that OpenVINO computed."""
    way = serving.way(job.attempt, job.network, job.data.train, torch.device("cpu"))
    assert not way.by_torch
    source = replace(job.kept, way=way, shelf=None)
    features = Extraction(job.attempt, job.data, source, job.network.head.in_features, seed=0).all(0.5)
    return replace(job, outcome=replace(job.outcome, features=features, source=source))


def test_features_of_another_engine_are_compared_with_those_of_pytorch(
    frozen: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = by_openvino(frozen)
    reference = watched(monkeypatch, "torch")
    quick.export()
    assert reference.asked == 16
    assert quick.newest().card["parity"]["engine"] == "openvino"


def test_an_engine_that_drifted_in_the_training_too_is_found_out(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, "openvino", 1.001)
    with pytest.raises(FinetunedError) as refusal:
        by_openvino(frozen).export()
    assert refusal.value.code == "parity_failed"


def test_another_head_on_the_same_trunk_and_data_needs_no_pass_of_its_own(
    frozen: Job, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = watched(monkeypatch, "openvino")
    frozen.export()
    assert engine.asked == 24
    (kept,) = frozen.store.glob("trunks/*/served/*/*.safetensors")
    assert load_file(kept)["features"].shape == (24, frozen.backbone.architecture.width)
    second = frozen.again(started(database, tmp_path))
    torch.nn.init.normal_(second.network.head.weight, std=3.0)
    second.export()
    assert engine.asked == 24
    parity = second.newest().card["parity"]
    assert (parity["reused"], parity["items"], parity["passed"]) == (True, 24, True)
    assert parity["max_abs_logit_diff"] <= 1e-4


def test_what_was_kept_is_compared_with_what_was_trained(frozen: Job, database: Database, tmp_path: Path) -> None:
    frozen.export()
    second = frozen.again(started(database, tmp_path))
    (kept,) = frozen.store.glob("trunks/*/served/*/*.safetensors")
    save_file({"features": load_file(kept)["features"] + 0.01}, kept)
    second.export()
    assert second.newest().card["parity"]["engine"] == "torch"


def precise(job: Job) -> Job:
    """The same under FINETUNED_SERVING_PRECISION=auto."""
    settings = job.attempt.settings.model_copy(update={"serving_precision": "auto"})
    attempt = Attempt(job.attempt.database, settings, job.attempt.claim, job.attempt.directory)
    return replace(job, attempt=attempt)


def test_bfloat16_is_measured_only_where_the_operator_wants_it(frozen: Job) -> None:
    frozen.export()
    assert "bf16" not in frozen.newest().card["parity"]


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the CPU has none, OpenVINO emulates it: slowly, with the same rounding."""
    monkeypatch.setattr(processors, "has_bfloat16", lambda: True)


def test_bfloat16_is_not_emulated(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "has_bfloat16", lambda: False)
    precise(frozen).export()
    parity = frozen.newest().card["parity"]
    assert (parity["engine"], parity["passed"], "bf16" in parity) == ("openvino", True, False)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_passes_where_it_answers_alike(frozen: Job) -> None:
    with torch.no_grad():
        frozen.network.head.weight.mul_(0.01)  # probabilities that hardly move
        frozen.network.head.bias.copy_(torch.tensor([1.0, 0.0]))
    precise(frozen).export()
    gate = frozen.newest().card["parity"]["bf16"]
    assert (gate["items"], gate["labels_changed"], gate["passed"]) == (24, 0, True)
    assert gate["max_probability_change"] <= 0.01


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_fails_where_it_moves_probabilities(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    class Coarse(Watched):
        def __call__(self, store_dir: Path, trunk: str, precision: Precision) -> Engine:
            self._factor = 100.0 if precision == "bf16" else 1.0
            return super().__call__(store_dir, trunk, precision)

    monkeypatch.setitem(ENGINES, "openvino", Coarse("openvino"))
    precise(frozen).export()
    parity = frozen.newest().card["parity"]
    assert (parity["engine"], parity["precision"], parity["passed"]) == ("openvino", "f32", True)
    assert parity["bf16"]["max_probability_change"] > 0.01
    assert parity["bf16"]["passed"] is False


def test_a_damaged_certificate_is_measured_anew(frozen: Job, database: Database, tmp_path: Path) -> None:
    frozen.export()
    (kept,) = frozen.store.glob("trunks/*/served/*/*.safetensors")
    kept.write_bytes(b"no tensors")
    second = frozen.again(started(database, tmp_path))
    second.export()
    assert second.newest().card["parity"]["reused"] is False


def test_the_report_of_a_later_job_on_the_same_trunk_runs_no_backbone(
    job: Job, database: Database, tmp_path: Path
) -> None:
    job.export()
    second = job.again(started(database, tmp_path))
    second.export()
    (line,) = second.log()
    assert line.startswith("features of the report (test")
    assert line.endswith(" from the cache, 0 computed; the backbone was not run")


def test_a_trunk_that_was_trained_is_not_reported_on_with_features_of_what_it_was(job: Job) -> None:
    Extraction(job.attempt, job.data, job.kept, job.network.head.in_features, seed=0).all(0.5)
    with torch.no_grad():
        next(job.network.backbone.parameters()).mul_(-1)
    trained = replace(job, outcome=replace(job.outcome, features={}))
    test_the_report_is_what_the_stored_model_makes_of_the_whole_validation_split(trained)


def test_a_job_that_is_cancelled_while_it_exports_leaves_no_model(job: Job) -> None:
    jobs.cancel(job.attempt.database, job.attempt.claim.job_id, owner=None)
    job.attempt.cancel_requested = leases.renew(job.attempt.database, job.attempt.claim)
    run_to_end(job.attempt, lambda _attempt: job.export())
    assert job.attempt.row().state == "cancelled"
    assert (job.models(), job.folders()) == ([], [])
