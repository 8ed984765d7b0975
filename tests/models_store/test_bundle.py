"""A saved model comes back to the bit, on a trunk that it may share with others."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from models_store import bundle, trunks
from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone, Batch
from models_store.errors import ConflictError, NotFoundError
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.outliers import Outliers
from models_store.preprocessing.protocol import Prepared, Preprocessing
from models_store.reporting import stored
from tests.models_store.samples import minilm, photos

CARD = {"labels": ["긍정", "부정", "그 밖"], "task": "any"}
CONTENTS: dict[str, list[bytes]] = {
    "timm/test_resnet": list(photos().values()),
    "hf/some/minilm": [b"a good film", "나쁜 영화".encode()],
}


def backbone(name: str, store: Path) -> Backbone:
    family, _, rest = name.partition("/")
    mirror = Mirror(store)
    if family == "hf":
        mirror.add(name, "DEFAULT", minilm())
    return FAMILIES[family].load(rest, "DEFAULT" if family == "hf" else None, mirror, {})


def batch(loaded: bundle.Bundle | Backbone, contents: list[bytes]) -> Batch:
    items = [item for item in loaded.preprocessing.prepare(contents) if isinstance(item, Prepared)]
    return loaded.preprocessing.collate(items)


def save(store: Path, model_id: str, source: Backbone, network: Network) -> Path:
    directory = store / "models" / model_id
    bundle.save(directory, store, network, source.architecture, source.preprocessing, CARD)
    return directory


@pytest.mark.parametrize("name", CONTENTS)
def test_the_stored_model_gives_the_same_logits_to_the_bit(name: str, tmp_path: Path) -> None:
    source = backbone(name, tmp_path)
    network = Network(source.module, source.architecture, classes=3)
    directory = save(tmp_path, "mdl_1", source, network)
    network.freeze()
    loaded = bundle.load(directory, tmp_path)
    contents = CONTENTS[name]
    assert torch.equal(loaded.network(batch(loaded, contents)), network(batch(source, contents)))


def test_a_loaded_model_is_frozen_and_in_eval_mode(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    network = Network(source.module, source.architecture, classes=3)
    loaded = bundle.load(save(tmp_path, "mdl_1", source, network), tmp_path)
    assert not any(tensor.requires_grad for tensor in loaded.network.parameters())
    assert not any(module.training for module in loaded.network.modules())


def test_the_card_says_what_the_model_is(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    network = Network(source.module, source.architecture, classes=3)
    directory = save(tmp_path, "mdl_1", source, network)
    card = json.loads((directory / "card.json").read_text(encoding="utf-8"))
    assert card == bundle.load(directory, tmp_path).card
    assert card["labels"] == CARD["labels"]
    assert card["preprocessing"] == source.preprocessing.card()
    assert card["trunk"] == trunks.trunk_sha256(source.module, source.architecture)


def test_report_and_references_are_stored_with_the_model(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    network = Network(source.module, source.architecture, classes=3)
    width = source.architecture.width
    outliers = Outliers.fit(torch.randn(9, width), 3, torch.randn(8, width))
    report = {"accuracy": 0.5, "labels": ["긍정"]}
    directory = tmp_path / "models" / "mdl_1"
    bundle.save(
        directory,
        tmp_path,
        network,
        source.architecture,
        source.preprocessing,
        CARD,
        report=report,
        outliers=outliers,
    )
    assert stored.read(directory) == report
    loaded = bundle.load(directory, tmp_path).outliers
    assert loaded is not None
    item = torch.randn(4, width)
    assert torch.equal(loaded.share_closer(item), outliers.share_closer(item))


def test_a_model_of_an_earlier_version_loads_without_report_and_references(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    directory = save(tmp_path, "mdl_1", source, Network(source.module, source.architecture, classes=3))
    assert bundle.load(directory, tmp_path).outliers is None
    with pytest.raises(NotFoundError) as refusal:
        stored.read(directory)
    assert refusal.value.code == "report_not_found"


def test_models_with_the_same_backbone_share_a_trunk_and_are_small(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    for model_id in ("mdl_1", "mdl_2"):
        network = Network(source.module, source.architecture, classes=3)
        directory = save(tmp_path, model_id, source, network)
        assert sum(path.stat().st_size for path in directory.rglob("*")) < 20_000
    assert len(list((tmp_path / "trunks").iterdir())) == 1


def test_what_other_models_have_in_memory_is_not_loaded_again(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    network = Network(source.module, source.architecture, classes=3)
    directory = save(tmp_path, "mdl_1", source, network)
    asked: list[Any] = []

    def shared(card: Mapping[str, Any], _directory: Path) -> Preprocessing:
        asked.append(card)
        return source.preprocessing

    stored = bundle.read(directory, shared)
    assert stored.preprocessing is source.preprocessing
    assert asked == [stored.card["preprocessing"]]


def test_a_model_is_read_without_its_trunk(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    network = Network(source.module, source.architecture, classes=3)
    directory = save(tmp_path, "mdl_1", source, network)
    shutil.rmtree(tmp_path / "trunks")
    stored = bundle.read(directory)
    assert torch.equal(stored.weight, network.head.weight)
    assert torch.equal(stored.bias, network.head.bias)


def test_nothing_on_disk_is_a_pickle(tmp_path: Path) -> None:
    source = backbone("hf/some/minilm", tmp_path)
    save(tmp_path, "mdl_1", source, Network(source.module, source.architecture, classes=3))
    stored = {
        path.suffix for folder in ("models", "trunks") for path in (tmp_path / folder).rglob("*") if path.is_file()
    }
    assert stored == {".json", ".safetensors"}


def test_a_saved_model_is_never_overwritten(tmp_path: Path) -> None:
    source = backbone("timm/test_resnet", tmp_path)
    network = Network(source.module, source.architecture, classes=3)
    save(tmp_path, "mdl_1", source, network)
    with pytest.raises(ConflictError):
        save(tmp_path, "mdl_1", source, network)
