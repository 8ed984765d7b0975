"""What holds for every engine: it gives the features of the network that it was made from."""

from pathlib import Path

import pytest
import torch

from models_store import bundle
from models_store.backbones import FAMILIES
from models_store.engines import ENGINES
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.predictor import Predictor


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("size", [1, 3])
def test_features_are_those_of_the_network(name: str, size: int, tmp_path: Path) -> None:
    backbone = FAMILIES["timm"].load("test_resnet", None, Mirror(tmp_path), {})
    network = Network(backbone.module, backbone.architecture, classes=4)
    directory = tmp_path / "models" / "mdl_1"
    bundle.save(directory, tmp_path, network, backbone.architecture, backbone.preprocessing, {"labels": list("abcd")})
    loaded = bundle.load(directory, tmp_path)
    batch = {"pixels": torch.rand(size, 3, 160, 160)}
    features = ENGINES[name](loaded).features(batch)
    assert features.shape == (size, backbone.architecture.width)
    assert (features.dtype, features.device.type) == (torch.float32, "cpu")
    assert not features.requires_grad
    assert torch.allclose(features, loaded.network.features(batch), atol=1e-4)
    logits = Predictor(loaded, ENGINES[name](loaded)).head(features)
    assert torch.allclose(logits, loaded.network(batch), atol=1e-6)
