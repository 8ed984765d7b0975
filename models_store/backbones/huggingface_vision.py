"""Image models of Hugging Face: encoders whose features are those that the library's own classifier of that kind reads.

Where a kind's ``…ForImageClassification`` puts its linear layer right on something that ``AutoModel`` gives, those are
the features; which it is, is found by running both. Where it has more layers in between, or there is none of that kind,
it is what the model itself pools, else the mean over all places.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from transformers import AutoModelForImageClassification
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES

from models_store.backbones import tracing
from models_store.backbones.family import IMAGES, Architecture, Backbone, Batch
from models_store.backbones.huggingface_modules import (
    LOAD_ERRORS,
    config_from,
    config_json,
    drop_pooler,
    load_config,
    load_module,
    random_module,
    unknown_pooling,
    unsupported,
)
from models_store.backbones.huggingface_processors import load_processor
from models_store.preprocessing.image import PIXELS

_CLASSES: Final = 1009  # a number of outputs that no other layer has
_CLASS_TOKEN: Final = ("cls_token", "class_token", "class_embedding")
_CHOOSABLE: Final = ("cls", "mean")


def first_token(output: Any) -> torch.Tensor:
    """State of the class token."""
    state: torch.Tensor = output.last_hidden_state
    return state[:, 0]


def mean_of_places(output: Any) -> torch.Tensor:
    """Mean over all tokens [N, tokens, width], or over the places of a map [N, width, height, width]."""
    state: torch.Tensor = output.last_hidden_state
    return state.mean(dim=1) if state.ndim == 3 else state.flatten(2).mean(dim=2)


def own_pooler(output: Any) -> torch.Tensor:
    """What the model itself pools."""
    pooled: torch.Tensor = output.pooler_output
    return pooled.flatten(1)


def first_and_mean(output: Any, skipped: int = 1) -> torch.Tensor:
    """State of the class token beside the mean of those after the first ``skipped``, as DINOv2 is classified."""
    state: torch.Tensor = output.last_hidden_state
    return torch.cat([state[:, 0], state[:, skipped:].mean(dim=1)], dim=1)


def load(folder: Path, name: str, weights: str | None, options: Mapping[str, Any]) -> Backbone:
    """The model in ``folder`` with its own image processor. Option: ``pooling`` (``cls`` or ``mean``)."""
    config = load_config(folder)
    preprocessing, processor = load_processor(folder)
    pixels = torch.rand(1, 3, *preprocessing.crop, generator=torch.Generator().manual_seed(0))
    chosen: list[str] = []

    def prepare(module: Any) -> None:
        chosen.append(_pooling(module.eval(), pixels, options.get("pooling")))
        _prune(module, chosen[0])

    module = load_module(folder, config, prepare) if weights else random_module(config, prepare)
    described = {"model": config_json(module), "pooling": chosen[0], "processor": processor}
    draft = Architecture("hf", name, IMAGES, 0, described)
    with torch.no_grad():
        width = extract(module, {PIXELS: pixels}, draft).shape[1]
    return Backbone(Architecture("hf", name, IMAGES, width, described), module, preprocessing, weights)


def build(architecture: Architecture) -> nn.Module:
    """See ``Family.build``."""
    prepare = partial(_prune, pooling=architecture.config["pooling"])
    return random_module(config_from(architecture.config["model"]), prepare)


def extract(module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
    """Pooled output of the module [N, width]."""
    return _poolings(module)[architecture.config["pooling"]](module(pixel_values=batch[PIXELS]))


def _poolings(module: Any) -> dict[str, Callable[[Any], torch.Tensor]]:
    registers = getattr(module.config, "num_register_tokens", 0)
    return {
        "cls": first_token,
        "pooler": own_pooler,
        "mean": mean_of_places,
        "cls+mean": partial(first_and_mean, skipped=1 + registers),
    }


def _prune(module: Any, pooling: str) -> None:
    if pooling != "pooler":
        drop_pooler(module)


def _pooling(module: Any, pixels: torch.Tensor, wanted: str | None) -> str:
    """The pooling to use; one that a job asks for must make sense for this model."""
    try:
        with torch.no_grad():
            output = module(pixel_values=pixels)
    except LOAD_ERRORS as error:
        raise unsupported("It does not give features for an image of its image processor's size") from error
    if getattr(output, "last_hidden_state", None) is None:
        raise unsupported("It does not give hidden states for an image")
    if wanted is None:
        return _pooling_of_the_library(module, pixels, output)
    choosable = [pooling for pooling in _CHOOSABLE if pooling != "cls" or _has_class_token(module)]
    if wanted not in choosable:
        raise unknown_pooling(wanted, choosable)
    return wanted


def _has_class_token(module: nn.Module) -> bool:
    return any(name.endswith(_CLASS_TOKEN) for name, _ in module.named_parameters())


def _pooling_of_the_library(module: Any, pixels: torch.Tensor, output: Any) -> str:
    given = _read_by_the_classifier(module, pixels)
    if given is not None:
        for name, pool in _poolings(module).items():
            if _gives(pool, output, given):
                return name
    return "mean" if getattr(output, "pooler_output", None) is None else "pooler"


def _gives(pool: Callable[[Any], torch.Tensor], output: Any, expected: torch.Tensor) -> bool:
    try:
        features = pool(output)
    except (AttributeError, IndexError, RuntimeError):
        return False  # this model's output has no such part
    return features.shape == expected.shape and torch.allclose(features, expected, atol=1e-5)


def _read_by_the_classifier(module: Any, pixels: torch.Tensor) -> torch.Tensor | None:
    """Input [1, width] of the last layer of ``…ForImageClassification``, run with ``module`` as its base."""
    if module.config.model_type not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        return None
    try:
        whole = _around(module)
        return tracing.input_of_classifier(whole, _CLASSES, lambda: whole(pixel_values=pixels))
    except LOAD_ERRORS:
        return None  # it wants another base than AutoModel gives, or one with parts that AutoModel leaves out


def _around(module: Any) -> Any:
    """The library's classification model of this kind, its base replaced by ``module``."""
    config = deepcopy(module.config)
    config.num_labels, config.architectures = _CLASSES, []
    untyped: Any = AutoModelForImageClassification
    with torch.device("meta"):
        whole = untyped.from_config(config, dtype=torch.float32).eval()
    base = whole.base_model_prefix
    if type(getattr(whole, base)) is not type(module):
        raise TypeError(f"its base is a {type(getattr(whole, base)).__name__}")
    setattr(whole, base, nn.Identity())
    whole.to_empty(device="cpu")  # what lies between base and classifier: its values decide nothing
    setattr(whole, base, module)
    return whole
