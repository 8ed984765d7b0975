"""What is published is what was trained, with its report and its card; or nothing is."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models_store import bundle, datasets, jobs, leases, registry
from models_store.backbones.family import Backbone
from models_store.database.engine import Database
from models_store.itemset import ItemSet
from models_store.preprocessing.image import ImagePreprocessing
from models_store.reporting import stored
from tests.worker.training.exporting.ended import BEST, LABELS, Job, started
from worker.child import run_to_end
from worker.training.features import Extraction


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
