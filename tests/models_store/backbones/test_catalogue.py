"""What is here without a hub, and what it is for."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from models_store.backbones import catalogue
from models_store.mirror import Mirror
from tests.models_store.tiny_models import edit_json, image_model, text_model

REVISION = "0" * 40


def put_into_cache(cache: Path, name: str, folder: Path) -> None:
    """As the hub's own client leaves a repository."""
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / REVISION)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)


def test_a_mirrored_model_is_for_what_its_configuration_says(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    mirror.add("hf/some/dino", "DEFAULT", image_model(tmp_path / "dinov2", "dinov2"))
    mirror.add("hf/some/bert", "DEFAULT", text_model(tmp_path / "bert", "bert"))
    assert catalogue.task("hf/some/dino", mirror) == "image-classification"
    assert catalogue.task("hf/some/bert", mirror) == "text-classification"


def test_a_family_of_one_task_needs_no_file(tmp_path: Path) -> None:
    assert catalogue.task("timm/resnet18", Mirror(tmp_path)) == "image-classification"


def test_of_a_model_that_is_not_here_the_task_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert catalogue.task("hf/some/other", Mirror(tmp_path)) is None


def test_of_the_hubs_cache_those_that_can_be_a_backbone_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # huggingface_hub reads the variable HF_HOME once, when it is imported
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    vit, bert = image_model(tmp_path / "vit", "vit"), text_model(tmp_path / "bert", "bert")
    put_into_cache(tmp_path / "cache", "some/vit", vit)
    put_into_cache(tmp_path / "cache", "some/bert", bert)
    edit_json(vit / "config.json", model_type="wav2vec2")
    put_into_cache(tmp_path / "cache", "some/speech", vit)
    edit_json(bert / "config.json", is_encoder_decoder=True)
    put_into_cache(tmp_path / "cache", "some/translator", bert)
    found = {backbone for backbone, _ in catalogue.cached() if backbone.startswith("hf/")}
    assert found == {"hf/some/vit", "hf/some/bert"}
