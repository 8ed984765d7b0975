"""What the model card tells, in any script, and with nothing in a name taken for markup."""

import json
from pathlib import Path
from typing import Any

import pytest

from models_store.backbones.family import Architecture
from models_store.database.tables import DatasetRow
from models_store.exchange.licences import licence_note
from models_store.exchange.markdown import plain, table
from tests.models_store.exchange.stored import LABELS, Stored, keep
from tests.models_store.exchange.test_download import REPORT

CARD: dict[str, Any] = {
    "strategy": "freeze",
    "dataset_fingerprint": "sha256:abc",
    "training": {"max_epochs": 7, "head_lr": 0.001},
    "metrics": {"val_accuracy": 0.98765},
    "best_epoch": 4,
    "versions": {"torch": "2.99"},
    "parity": {"engine": "torch", "precision": "f32", "max_abs_logit_diff": 1.25e-6, "passed": True},
    "freeze_proof": {"backbone_sha256": "feed", "unchanged": True},
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return keep(tmp_path_factory.mktemp("store"), "plugin/tiny", **CARD)


def dataset() -> DatasetRow:
    classes = [{"label": label, "count": 11 + place} for place, label in enumerate(LABELS)]
    return DatasetRow(id="ds_1", name="벌레 | 사진", classes=classes, splits={"train": 30, "validation": 6})


def card(stored: Stored, folder: Path, of: DatasetRow | None = None) -> str:
    return (stored.unpacked(folder, of) / "README.md").read_text("utf-8")


def test_it_names_the_model_and_what_it_was_trained_on(stored: Stored, tmp_path: Path) -> None:
    text = card(stored, tmp_path, dataset())
    assert text.startswith("# 곤충, version 3\n")
    assert "Data set 벌레 \\| 사진 (`ds_1`): 30 train, 6 validation." in text
    assert "| 0 | 개미 | 11 |" in text
    assert "| 1 | bees \\| wasps | 12 |" in text
    assert "| 2 | \\`고양이\\` | 13 |" in text
    assert "sha256:abc" in text


def test_it_tells_what_is_left_of_a_deleted_data_set(stored: Stored, tmp_path: Path) -> None:
    text = card(stored, tmp_path)
    assert "Data set deleted since (`ds_1`)." in text
    assert "| 0 | 개미 |  |" in text


def test_it_tells_training_versions_and_proofs(stored: Stored, tmp_path: Path) -> None:
    text = card(stored, tmp_path)
    assert '"max_epochs": 7' in text
    assert "| torch | 2.99 |" in text
    assert "within 1.25e-06; passed: yes" in text
    assert "SHA-256 `feed`, bit-identical to what training began with" in text
    assert "best epoch 4" in text


def test_it_shows_the_report_of_every_split(stored: Stored, tmp_path: Path) -> None:
    (stored.directory / "report.json").write_text(json.dumps(REPORT), "utf-8")
    text = card(stored, tmp_path)
    assert "### Split `validation`: 8 items, accuracy 0.75" in text
    assert "### Split `test`: 8 items, accuracy 0.8125" in text
    assert "| 개미 | 0.6789 | 0.5 | 0.575 | 4 |" in text
    assert "Expected calibration error 0.0456 with the temperature 1.7, 0.1235 without." in text


def test_it_tells_the_licence_of_the_weights(stored: Stored, tmp_path: Path) -> None:
    assert "The library records no licence for the pretrained weights" in licence_note(
        Architecture("hf", "a/b", "text-classification", 8, {}), "main", "hf/a/b"
    )
    timm = Architecture("timm", "tf_efficientnet_lite0", "image-classification", 8, {})
    assert "apache-2.0" in licence_note(timm, "in1k", "timm/tf_efficientnet_lite0")
    swag = Architecture("torchvision", "vit_b_16", "image-classification", 8, {})
    assert "SWAG" in licence_note(swag, "IMAGENET1K_SWAG_LINEAR_V1", "torchvision/vit_b_16")
    assert "random weights" in licence_note(timm, None, "timm/tf_efficientnet_lite0")
    assert "goes on from `model/mdl_0`" in licence_note(timm, "mdl_0", "model/mdl_0")
    assert "random weights" in card(stored, tmp_path)


def test_no_name_breaks_out_of_its_cell() -> None:
    hostile = "a|b\n```python\nimport os\n```<script>"
    assert table(("class",), [(hostile,)]).splitlines()[2:] == [f"| {plain(hostile)} |"]
    assert "<script>" not in plain(hostile).replace("\\<", "")
