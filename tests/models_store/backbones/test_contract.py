"""What holds for every family: a new line in ``FAMILIES`` is tested by adding its sample here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from models_store.backbones import FAMILIES, split_name
from models_store.backbones.family import IMAGES, Architecture, Backbone, Batch
from models_store.errors import InvalidError
from models_store.mirror import Mirror
from models_store.preprocessing.protocol import Prepared
from models_store.trunks import backbone_sha256, trunk_sha256
from tests.models_store.backbones.finetuning import assert_fine_tunes
from tests.models_store.kept import keep_checkpoint, keep_model, new_database, renamed
from tests.models_store.samples import parameters_equal, photos, tiny_text_model
from tests.models_store.tiny_models import image_model

SAMPLES = {"torchvision": "shufflenet_v2_x0_5", "timm": "test_resnet", "hf": "tiny/bert", "plugin": "tiny"}
HF_IMAGES = "hf for images"
LIBRARIES = {
    "torchvision": "torchvision",
    "timm": "timm",
    "hf": "transformers",
    "plugin": "finetuned_test_plugins",
}
KEPT = ("checkpoint", "model")
"""Families whose weights are in the store, not in the mirror."""


@dataclass
class Sample:
    """A small backbone with random weights, loaded from its family."""

    family: str
    name: str
    mirror: Mirror
    backbone: Backbone

    def contents(self) -> list[bytes]:
        images = self.backbone.architecture.task == IMAGES
        return list(photos().values()) if images else [b"a good film", b"word"]

    def batch(self) -> Batch:
        items = [item for item in self.backbone.preprocessing.prepare(self.contents()) if isinstance(item, Prepared)]
        return self.backbone.preprocessing.collate(items)

    def features(self, module: nn.Module) -> torch.Tensor:
        with torch.no_grad():
            return FAMILIES[self.family].extract(module, self.batch(), self.backbone.architecture)


@pytest.fixture(scope="module", params=[*FAMILIES, HF_IMAGES])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    folder = tmp_path_factory.mktemp("family")
    mirror = Mirror(folder / "store")
    mirror.add("hf/tiny/bert", "DEFAULT", tiny_text_model(folder / "tiny"))
    mirror.add("hf/tiny/vit", "DEFAULT", image_model(folder / "vit", "vit"))
    family, name = request.param, SAMPLES.get(request.param, "tiny/vit")
    if family in KEPT:
        name = kept(family, folder)
    elif family == HF_IMAGES:
        family = "hf"
    yield Sample(family, name, mirror, FAMILIES[family].load(name, None, mirror, {}))


def kept(family: str, folder: Path) -> str:
    """A checkpoint, or a model, of a small backbone in the store; gives its id."""
    architecture = "torchvision/shufflenet_v2_x0_5"
    if family == "model":
        return keep_model(folder / "store", architecture, ["ants", "bees"])[0]
    module = FAMILIES["torchvision"].load("shufflenet_v2_x0_5", None, Mirror(folder / "store"), {}).module
    return keep_checkpoint(new_database(folder), folder / "store", renamed(module, "net"), architecture).id


def with_weights(sample: Sample, folder: Path) -> Mirror:
    """Where the sample's weights can be loaded from."""
    if sample.family in KEPT:
        return sample.mirror
    mirror = Mirror(folder)
    mirror.add(f"{sample.family}/{sample.name}", "DEFAULT", exported(sample, folder))
    return mirror


def exported(sample: Sample, folder: Path) -> Path:
    """The sample's trunk as somebody would hand it in."""
    if sample.family == "hf":
        images = sample.backbone.architecture.task == IMAGES
        return image_model(folder / "other", "vit") if images else tiny_text_model(folder / "other")
    path = folder / "weights.pth"
    torch.save(sample.backbone.module.state_dict(), path)
    return path


def test_features_have_the_width_that_the_architecture_says(sample: Sample) -> None:
    features = sample.features(sample.backbone.module)
    assert features.shape == (2, sample.backbone.architecture.width)
    assert features.dtype == torch.float32


def test_features_tell_items_apart(sample: Sample) -> None:
    one, other = sample.features(sample.backbone.module)
    assert (one - other).norm() > 1e-3 * one.norm()  # relative: with random weights all features may be tiny


def test_the_module_is_the_librarys_own_with_nothing_around_it(sample: Sample) -> None:
    owner = LIBRARIES[sample.backbone.architecture.family]
    assert type(sample.backbone.module).__module__.partition(".")[0] == owner


def test_the_module_comes_in_eval_mode(sample: Sample) -> None:
    assert not any(module.training for module in sample.backbone.module.modules())


def test_an_item_alone_gives_the_features_that_it_gives_in_a_batch(sample: Sample) -> None:
    alone = {name: tensor[:1] for name, tensor in sample.batch().items()}
    module, architecture = sample.backbone.module, sample.backbone.architecture
    with torch.no_grad():
        features = FAMILIES[sample.family].extract(module, alone, architecture)
    assert torch.allclose(features, sample.features(module)[:1], atol=1e-5)


def test_the_architecture_alone_rebuilds_the_module(sample: Sample) -> None:
    described = json.loads(json.dumps(sample.backbone.architecture.as_json()))
    architecture = Architecture.from_json(described)
    assert architecture == sample.backbone.architecture
    built = FAMILIES[sample.family].build(architecture)
    built.load_state_dict(sample.backbone.module.state_dict())
    assert torch.equal(sample.features(built), sample.features(sample.backbone.module))
    assert not built.training


def test_mirrored_weights_load_equal_each_time(sample: Sample, tmp_path: Path) -> None:
    family, mirror = FAMILIES[sample.family], with_weights(sample, tmp_path)
    first, second = (family.load(sample.name, "DEFAULT", mirror, {}) for _ in range(2))
    assert parameters_equal(first.module, second.module)
    assert backbone_sha256(first.module) == backbone_sha256(second.module)
    assert trunk_sha256(first.module, first.architecture) == trunk_sha256(second.module, second.architecture)
    assert first.preprocessing.sha256() == second.preprocessing.sha256()


def test_mirrored_weights_are_those_handed_in(sample: Sample, tmp_path: Path) -> None:
    if sample.family in ("hf", *KEPT):
        loaded = FAMILIES[sample.family].load(sample.name, "DEFAULT", sample.mirror, {})
        again = FAMILIES[sample.family].load(sample.name, None, sample.mirror, {})
        assert not parameters_equal(loaded.module, again.module)
        return
    mirror = Mirror(tmp_path)
    mirror.add(f"{sample.family}/{sample.name}", "DEFAULT", exported(sample, tmp_path))
    loaded = FAMILIES[sample.family].load(sample.name, "DEFAULT", mirror, {})
    assert parameters_equal(loaded.module, sample.backbone.module)


def test_the_concrete_name_of_the_weights_is_told(sample: Sample, tmp_path: Path) -> None:
    family, mirror = FAMILIES[sample.family], with_weights(sample, tmp_path)
    weights = family.load(sample.name, "DEFAULT", mirror, {}).weights
    assert weights in family.weights(sample.name)
    assert sample.backbone.weights is None


def test_a_model_on_it_trains_frozen_and_whole_is_stored_and_predicts(sample: Sample, tmp_path: Path) -> None:
    fresh = FAMILIES[sample.family].load(sample.name, None, sample.mirror, {})
    assert_fine_tunes(fresh, sample.contents(), tmp_path)


def test_known_names_pass_the_check(sample: Sample) -> None:
    for weights in (None, "DEFAULT", *FAMILIES[sample.family].weights(sample.name)):
        FAMILIES[sample.family].check(sample.name, weights)


def test_unknown_weights_are_refused_with_those_that_exist(sample: Sample) -> None:
    with pytest.raises(InvalidError) as caught:
        FAMILIES[sample.family].check(sample.name, "NO_SUCH_WEIGHTS")
    assert caught.value.code == "unknown_weights"
    assert FAMILIES[sample.family].weights(sample.name)[0] in caught.value.message


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["", "../../etc/passwd", "no such model", "a" * 300, "a/b/c"])
def test_names_that_cannot_exist_are_refused(family: str, name: str) -> None:
    with pytest.raises(InvalidError) as caught:
        FAMILIES[family].check(name, "DEFAULT")
    assert caught.value.code == "unknown_backbone"


@pytest.mark.parametrize("family", ["torchvision", "timm"])
def test_a_misspelt_name_is_told_its_neighbours(family: str) -> None:
    with pytest.raises(InvalidError, match=f"{family}/resnet50"):
        FAMILIES[family].check("restnet50", "DEFAULT")


@pytest.mark.parametrize(
    ("backbone", "parts"),
    [("timm/x", ("timm", "x")), ("hf/ORG/NAME", ("hf", "ORG/NAME")), ("hf/gpt2", ("hf", "gpt2"))],
)
def test_a_backbone_is_named_by_its_family_first(backbone: str, parts: tuple[str, str]) -> None:
    assert split_name(backbone) == parts


@pytest.mark.parametrize("backbone", ["", "resnet50", "keras/resnet50", "timm", "timm/", "/x"])
def test_a_name_without_a_known_family_is_refused(backbone: str) -> None:
    with pytest.raises(InvalidError) as caught:
        split_name(backbone)
    assert caught.value.code == "unknown_backbone"


def test_every_family_has_a_sample() -> None:
    assert {*SAMPLES, *KEPT} == FAMILIES.keys()
