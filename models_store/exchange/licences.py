"""What is known of the licence of pretrained weights: a tuned model is made of them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from timm.models import get_pretrained_cfg
from torchvision import models

from models_store.backbones.family import Architecture

_FOUND: Final = (
    "The pretrained weights `{weights}` of `{backbone}` are under: {licence}. A model tuned from them is bound by it."
)
_UNKNOWN: Final = (
    "The library records no licence for the pretrained weights `{weights}` of `{backbone}`. "
    "See where they were published, before you pass this model on."
)
_RANDOM: Final = "It was trained from random weights: no licence of pretrained ones binds it."


_EARLIER: Final = "It goes on from `{backbone}`: whatever licence binds those weights binds this model too."


def licence_note(architecture: Architecture, weights: str | None, started_from: str) -> str:
    """A sentence for the model card; ``started_from`` is the backbone as the job named it."""
    if weights is None:
        return _RANDOM
    if started_from.partition("/")[0] != architecture.family:
        return _EARLIER.format(backbone=started_from)
    backbone = f"{architecture.family}/{architecture.name}"
    licence = _LICENCES.get(architecture.family, _nothing)(architecture, weights)
    return (_FOUND if licence else _UNKNOWN).format(weights=weights, backbone=backbone, licence=licence)


def _torchvision(architecture: Architecture, weights: str) -> str | None:
    """Only some weights name theirs; the others were trained on ImageNet by the library's authors."""
    known: Any = models.get_model_weights(architecture.name)
    if weights not in known.__members__:
        return None
    meta = known[weights].meta
    licence = meta.get("license")
    return licence or "BSD-3-Clause as torchvision itself; for the terms of their training data see ImageNet's"


def _timm(architecture: Architecture, weights: str) -> str | None:
    config: Any = get_pretrained_cfg(f"{architecture.name}.{weights}", allow_unregistered=True)
    licence = getattr(config, "license", None)
    return None if licence == "unknown" else licence


def _nothing(_architecture: Architecture, _weights: str) -> None:
    return None


_LICENCES: Final[Mapping[str, Callable[[Architecture, str], str | None]]] = {
    "torchvision": _torchvision,
    "timm": _timm,
}
