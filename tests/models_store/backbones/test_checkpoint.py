"""A part of an uploaded checkpoint becomes the backbone that its architecture names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from transformers import AutoModelForSequenceClassification

from models_store import checkpoints, trunks
from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.database.engine import Database
from models_store.errors import FinetunedError, NotFoundError
from models_store.mirror import Mirror
from models_store.quarantine import content
from tests.models_store.kept import keep_checkpoint, new_database, renamed
from tests.models_store.lightning import LitAutoencoder, LitClassifier, trained
from tests.models_store.samples import tiny_text_model

CHECKPOINTS = FAMILIES["checkpoint"]


@dataclass
class Store:
    """A store with a database beside it."""

    database: Database
    mirror: Mirror

    def keep(self, tensors: dict[str, Tensor], architecture: str) -> str:
        return keep_checkpoint(self.database, self.mirror.store_dir, tensors, architecture).id

    def load(self, checkpoint_id: str, submodule: str | None = None, weights: str | None = "DEFAULT") -> Backbone:
        return CHECKPOINTS.load(checkpoint_id, weights, self.mirror, {"submodule": submodule})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = new_database(tmp_path)
    yield Store(database, Mirror(tmp_path / "store"))
    database.close()


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The state of an autoencoder that plain Lightning has trained, as its ``.ckpt`` holds it."""
    return content.read(trained(LitAutoencoder(), tmp_path_factory.mktemp("autoencoder"), 16))[0]


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def holds(module: nn.Module, tensors: dict[str, Tensor]) -> bool:
    state = module.state_dict()
    return state.keys() == tensors.keys() and all(torch.equal(state[name], tensors[name]) for name in state)


def refusal(store: Store, checkpoint_id: str, submodule: str | None = None) -> FinetunedError:
    with pytest.raises(FinetunedError) as caught:
        store.load(checkpoint_id, submodule)
    return caught.value


def mismatch(store: Store, tensors: dict[str, Tensor], architecture: str) -> FinetunedError:
    with pytest.raises(FinetunedError) as caught:
        store.keep(tensors, architecture)
    assert list((store.mirror.store_dir / "checkpoints").iterdir()) == []
    return caught.value


def test_the_encoder_of_an_autoencoder_is_taken_out(store: Store, autoencoder: dict[str, Tensor]) -> None:
    checkpoint_id = store.keep(autoencoder, "plugin/autoencoder")
    backbone = store.load(checkpoint_id, "encoder")
    assert holds(backbone.module, below(autoencoder, "encoder."))
    assert backbone.architecture.width == 100
    assert backbone.architecture.config == {"submodule": "encoder"}
    assert backbone.weights == checkpoint_id


def test_its_trunk_is_built_again_without_the_checkpoint(store: Store, autoencoder: dict[str, Tensor]) -> None:
    checkpoint_id = store.keep(autoencoder, "plugin/autoencoder")
    backbone = store.load(checkpoint_id, "encoder")
    name = trunks.put(store.mirror.store_dir, backbone.module, backbone.architecture)
    checkpoints.delete(store.database, store.mirror.store_dir, checkpoint_id, owner=None)
    module, architecture = trunks.load(store.mirror.store_dir, name)
    assert holds(module, below(autoencoder, "encoder."))
    assert architecture == backbone.architecture


def test_without_a_name_all_of_a_plugin_is_taken_where_all_fits(store: Store, autoencoder: dict[str, Tensor]) -> None:
    assert holds(store.load(store.keep(autoencoder, "plugin/autoencoder")).module, autoencoder)


def test_a_part_below_a_wrapper_fills_the_plugins_part_of_that_name(
    store: Store, autoencoder: dict[str, Tensor]
) -> None:
    wrapped = {f"net.{name}": tensor for name, tensor in autoencoder.items()}
    backbone = store.load(store.keep(wrapped, "plugin/autoencoder"), "net.encoder")
    assert holds(backbone.module, below(autoencoder, "encoder."))


def test_the_only_part_of_a_plugin_that_fits_is_taken(store: Store, autoencoder: dict[str, Tensor]) -> None:
    half = {name: tensor for name, tensor in autoencoder.items() if name.startswith("encoder.")}
    assert holds(store.load(store.keep(half, "plugin/autoencoder")).module, below(autoencoder, "encoder."))


def test_a_resnet_inside_a_lightning_module_is_found_though_its_classifier_is_cut_off(
    store: Store, tmp_path: Path
) -> None:
    state = content.read(trained(LitClassifier(), tmp_path, 40))[0]
    backbone = store.load(store.keep(state, "torchvision/resnet18"))
    ours, theirs = backbone.module.state_dict(), below(state, "feature_extractor.")
    pairs = zip(ours.items(), theirs.values(), strict=True)
    assert all(torch.equal(one, other) for (name, one), other in pairs if not name.endswith("num_batches_tracked"))
    assert backbone.architecture.family == "torchvision"
    assert (
        backbone.preprocessing.card()
        == FAMILIES["torchvision"].load("resnet18", None, store.mirror, {}).preprocessing.card()
    )


def test_a_model_with_another_number_of_classes_fits(store: Store) -> None:
    whole = resnet18(num_classes=7)
    backbone = store.load(store.keep(renamed(whole, "model"), "torchvision/resnet18"))
    state = whole.state_dict()
    assert holds(backbone.module, {name: state[name] for name in backbone.module.state_dict()})


def test_the_encoder_of_a_text_classifier_is_found(store: Store, tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    store.mirror.add("hf/tiny/bert", "DEFAULT", folder)
    factory: Any = AutoModelForSequenceClassification
    classifier: nn.Module = factory.from_pretrained(folder, num_labels=3)
    backbone = store.load(store.keep(renamed(classifier, "model"), "hf/tiny/bert"))
    state = classifier.state_dict()
    assert holds(backbone.module, {name: state[f"bert.{name}"] for name in backbone.module.state_dict()})


def test_parts_and_what_fits_are_told(store: Store, autoencoder: dict[str, Tensor]) -> None:
    checkpoint_id = store.keep(autoencoder, "plugin/autoencoder")
    with store.database.read() as session:
        row = checkpoints.get(session, checkpoint_id, owner="ann")
    assert [(one["name"], one["fits"]) for one in row.submodules] == [
        ("encoder", "submodule"),
        ("decoder", "submodule"),
        ("", "all"),
    ]
    assert row.submodules[0]["tensors"] == len(below(autoencoder, "encoder."))


def test_of_several_that_fit_one_has_to_be_named(store: Store) -> None:
    twins = {**renamed(resnet18(), "student"), **renamed(resnet18(), "teacher")}
    checkpoint_id = store.keep(twins, "torchvision/resnet18")
    error = refusal(store, checkpoint_id)
    assert error.code == "ambiguous_submodule"
    assert '"student", "teacher"' in error.message
    state = store.load(checkpoint_id, "teacher").module.state_dict()
    assert torch.equal(state["conv1.weight"], twins["teacher.conv1.weight"])


def test_a_part_that_is_not_there_is_refused_with_those_that_are(store: Store, autoencoder: dict[str, Tensor]) -> None:
    error = refusal(store, store.keep(autoencoder, "plugin/autoencoder"), "encode")
    assert error.code == "unknown_submodule"
    assert "encoder, decoder" in error.message


def test_a_part_that_does_not_fit_is_refused(store: Store) -> None:
    checkpoint_id = store.keep(renamed(resnet18(), "model"), "torchvision/resnet18")
    assert refusal(store, checkpoint_id, "model.layer1").code == "checkpoint_mismatch"


def test_an_architecture_that_fits_no_part_is_told_the_closest(store: Store) -> None:
    error = mismatch(store, renamed(resnet18(), "model"), "torchvision/resnet34")
    assert error.code == "checkpoint_mismatch"
    assert "closest is model" in error.message
    assert "layer1.2.conv1.weight is missing" in error.message


def test_a_plugin_that_fits_no_part_is_refused(store: Store) -> None:
    assert mismatch(store, renamed(nn.Linear(3, 3), "net"), "plugin/autoencoder").code == "checkpoint_mismatch"


def test_random_weights_are_not_those_of_the_checkpoint(store: Store) -> None:
    whole = resnet18()
    backbone = store.load(store.keep(whole.state_dict(), "torchvision/resnet18"), weights=None)
    assert backbone.weights is None
    assert not torch.equal(backbone.module.state_dict()["conv1.weight"], whole.conv1.weight)


def test_a_checkpoint_that_was_deleted_is_told_so(store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.load(f"ckpt_{'0' * 26}")
    assert caught.value.code == "checkpoint_not_found"
