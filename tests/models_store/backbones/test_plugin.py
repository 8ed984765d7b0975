"""Modules of an operator's package: a part of one, one for texts, and the package that docs/plugin.md shows."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from models_store.backbones import FAMILIES
from models_store.backbones.family import IMAGES, TEXTS
from models_store.errors import InvalidError
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.preprocessing.protocol import Prepared
from models_store.trunks import backbone_sha256
from tests.models_store.samples import encoded, noise, parameters_equal

PLUGINS = FAMILIES["plugin"]
_PAGE: Final = Path(__file__).parents[3] / "docs" / "plugin.md"
_FILE: Final = re.compile(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def documented(tmp_path: Path) -> Iterator[None]:
    """The package of the page, installed as pip would."""
    site = tmp_path / "site"
    files = dict(_FILE.findall(_PAGE.read_text("utf-8")))
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, content in files.items():
        (site / name).parent.mkdir(parents=True)
        (site / name).write_text(content, "utf-8")
    information = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    entries = [
        f"[{group}]\n" + "\n".join(f"{name} = {what}" for name, what in listed.items())
        for group, listed in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n".join(entries))
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    sys.modules.pop("acme_backbones", None)


@pytest.mark.usefixtures("documented")
def test_the_package_of_the_documentation_trains_a_head_and_predicts(tmp_path: Path) -> None:
    backbone = PLUGINS.load("acme", "DEFAULT", Mirror(tmp_path), {})
    assert backbone.architecture.width == 100
    network = Network(backbone.module, backbone.architecture, 2)
    network.freeze_backbone()
    before = backbone_sha256(network.backbone)
    items = backbone.preprocessing.prepare([encoded(noise(80, 90, seed)) for seed in range(4)])
    batch = backbone.preprocessing.collate([item for item in items if isinstance(item, Prepared)])
    labels = torch.tensor([0, 1, 0, 1])
    optimizer = torch.optim.Adam(network.head.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss: Any = torch.nn.functional.cross_entropy(network(batch), labels)
        loss.backward()
        optimizer.step()
    assert network(batch).argmax(dim=1).tolist() == labels.tolist()
    assert backbone_sha256(network.backbone) == before


@pytest.mark.usefixtures("documented")
def test_the_encoder_that_the_documentation_speaks_of_can_be_taken(tmp_path: Path) -> None:
    backbone = PLUGINS.load("acme", None, Mirror(tmp_path), {"submodule": "encoder"})
    assert next(type(layer).__name__ for layer in backbone.module.children()) == "Conv2d"
    assert backbone.preprocessing.card()["crop"] == [64, 64]


def test_a_part_of_a_plugin_has_its_own_width_and_is_built_again(tmp_path: Path) -> None:
    backbone = PLUGINS.load("autoencoder", None, Mirror(tmp_path), {"submodule": "encoder"})
    assert backbone.architecture.width == 100
    assert backbone.architecture.task == IMAGES
    built = PLUGINS.build(backbone.architecture)
    assert built.state_dict().keys() == backbone.module.state_dict().keys()
    assert not built.training


def test_a_part_that_a_plugin_has_not_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="encoder, decoder") as caught:
        PLUGINS.load("autoencoder", None, Mirror(tmp_path), {"submodule": "encode"})
    assert caught.value.code == "unknown_submodule"


def test_a_part_that_gives_no_features_for_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="decoder of plugin/autoencoder") as caught:
        PLUGINS.load("autoencoder", None, Mirror(tmp_path), {"submodule": "decoder"})
    assert caught.value.code == "plugin_broken"


def test_a_plugin_for_texts_reads_them_with_its_own_tokenizer(tmp_path: Path) -> None:
    backbone = PLUGINS.load("words", None, Mirror(tmp_path), {})
    assert backbone.architecture.task == TEXTS
    assert backbone.architecture.width == 8
    items = backbone.preprocessing.prepare(["좋은 영화".encode(), "나쁜 영화 film".encode()])
    batch = backbone.preprocessing.collate([item for item in items if isinstance(item, Prepared)])
    features = PLUGINS.extract(backbone.module, batch, backbone.architecture)
    rows = backbone.module.get_parameter("embedding.weight")
    assert torch.allclose(features[0], rows[[5, 7]].mean(dim=0))
    assert torch.allclose(features[1], rows[[6, 7, 4]].mean(dim=0))


def test_weights_in_the_mirror_come_before_the_modules_own(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    other = PLUGINS.load("autoencoder", None, mirror, {})
    torch.save(other.module.state_dict(), tmp_path / "other.pth")
    mirror.add("plugin/autoencoder", "DEFAULT", tmp_path / "other.pth")
    part = PLUGINS.load("autoencoder", "DEFAULT", mirror, {"submodule": "encoder"})
    assert parameters_equal(part.module, other.module.get_submodule("encoder"))
