"""What is far from the training data is told apart from what is not, by the features of really pretrained backbones."""

import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.outliers import MAX_DISTANCES, MAX_REFERENCES, Outliers
from models_store.preprocessing.protocol import Prepared
from tests.e2e.sets import picture, sentence
from tests.models_store.samples import efficientnet_lite0, encoded, minilm, noise, photos


def features(backbone: Backbone, contents: list[bytes]) -> Tensor:
    network = Network(backbone.module, backbone.architecture, classes=2).freeze()
    prepared = [one for one in backbone.preprocessing.prepare(contents) if isinstance(one, Prepared)]
    assert len(prepared) == len(contents)
    return network.features(backbone.preprocessing.collate(prepared))


def directions(count: int, seed: int, width: int = 16) -> Tensor:
    """Features around one direction."""
    return torch.ones(width) + 0.2 * torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def known() -> Outliers:
    return Outliers.fit(directions(200, 0), 2, directions(100, 1))


def test_noise_and_photos_are_farther_out_than_pictures_like_the_training_ones(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.add("timm/tf_efficientnet_lite0", "in1k", efficientnet_lite0())
    backbone = FAMILIES["timm"].load("tf_efficientnet_lite0", "in1k", mirror, {})

    def drawn(numbers: range) -> Tensor:
        return features(backbone, [picture(colour, number) for colour in ("red", "blue") for number in numbers])

    outliers = Outliers.fit(drawn(range(24)), 2, drawn(range(100, 110)))
    strange = [encoded(noise(64, 64, seed)) for seed in range(4)] + list(photos().values())
    assert float(outliers.share_closer(features(backbone, strange)).min()) == 1.0
    assert float(outliers.share_closer(drawn(range(200, 210))).mean()) < 0.7


def test_texts_of_another_language_or_kind_are_farther_out_than_those_like_the_training_ones(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.add("hf/some/minilm", "DEFAULT", minilm())
    backbone = FAMILIES["hf"].load("some/minilm", "DEFAULT", mirror, {"pooling": "mean"})

    def written(numbers: range) -> Tensor:
        texts = [sentence(label, number) for label in ("praise", "blame") for number in numbers]
        return features(backbone, [text.encode() for text in texts])

    outliers = Outliers.fit(written(range(40)), 2, written(range(100, 120)))
    strange = [
        "배송이 너무 늦어서 환불했어요.",
        "Die Rechnung ist bis Freitag zu zahlen.",
        "SELECT id FROM jobs;",
        "1 2 3 4",
    ]
    assert float(outliers.share_closer(features(backbone, [text.encode() for text in strange])).min()) > 0.95
    assert float(outliers.share_closer(written(range(200, 220))).mean()) < 0.8


def test_the_share_is_that_of_validation_items_that_are_closer(known: Outliers) -> None:
    validation = directions(100, 1)
    distances = known.distance(validation)
    shares = known.share_closer(validation)
    for row in random.Random(0).sample(range(100), 20):
        assert float(shares[row]) == pytest.approx(float((distances < distances[row] - 1e-5).double().mean()))


def test_other_items_of_the_same_kind_are_spread_over_all_shares(known: Outliers) -> None:
    shares = known.share_closer(directions(1_000, 2))
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.1)
    assert (float(shares.min()), float(shares.max())) == (0.0, 1.0)


def test_one_strange_training_item_does_not_make_its_like_familiar() -> None:
    strange = -torch.ones(1, 16)
    outliers = Outliers.fit(torch.cat([directions(200, 0), strange]), 2, directions(100, 1))
    assert float(outliers.share_closer(strange)) == 1.0


def test_a_class_of_two_items_makes_its_like_familiar() -> None:
    classes = torch.eye(8).repeat_interleave(2, dim=0) + 0.01
    outliers = Outliers.fit(classes, 8, classes + 0.05)
    assert float(outliers.distance(torch.eye(8)).max()) < 0.01


def test_the_scale_of_features_says_nothing(known: Outliers) -> None:
    assert torch.equal(known.share_closer(directions(10, 3)), known.share_closer(7 * directions(10, 3)))


def test_what_was_saved_gives_the_same_shares(known: Outliers, tmp_path: Path) -> None:
    known.save(tmp_path / "ood.safetensors")
    assert torch.equal(
        Outliers.load(tmp_path / "ood.safetensors").share_closer(directions(50, 4)),
        known.share_closer(directions(50, 4)),
    )


def test_the_file_is_bounded_however_many_items_there_were(tmp_path: Path) -> None:
    many = Outliers.fit(directions(5 * MAX_DISTANCES, 5), 3, directions(5 * MAX_DISTANCES, 6))
    many.save(tmp_path / "ood.safetensors")
    assert (tmp_path / "ood.safetensors").stat().st_size < MAX_REFERENCES * 16 * 2 + MAX_DISTANCES * 4 + 1_000
