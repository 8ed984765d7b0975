"""Families of pretrained backbones. A new one is a file here and a line in ``FAMILIES``; tests run over the dict."""

from models_store.backbones.checkpoint import UploadedCheckpoint
from models_store.backbones.family import Family
from models_store.backbones.huggingface import HuggingFace
from models_store.backbones.model import EarlierModel
from models_store.backbones.plugin import Plugin
from models_store.backbones.timm import Timm
from models_store.backbones.torchvision import Torchvision
from models_store.errors import InvalidError

SOURCES: dict[str, Family] = {
    "torchvision": Torchvision(),
    "timm": Timm(),
    "hf": HuggingFace(),
    "plugin": Plugin(),
}
"""Those that know how a trunk is built. The others bring weights for one of these."""

FAMILIES: dict[str, Family] = {
    **SOURCES,
    "checkpoint": UploadedCheckpoint(SOURCES),
    "model": EarlierModel(SOURCES),
}


def split_name(backbone: str) -> tuple[str, str]:
    """Family and name within it, of a backbone as jobs name it (``timm/resnet50``, ``hf/ORG/NAME``).

    Raises:
        InvalidError: ``unknown_backbone``, there is no such family.
    """
    family, slash, name = backbone.partition("/")
    if family not in FAMILIES or not slash or not name:
        forms = ", ".join(f"{known}/NAME" for known in FAMILIES)
        message = f"There is no backbone {backbone}. Write its family first: {forms}."
        raise InvalidError("unknown_backbone", message, param="backbone")
    return family, name


def only_task(backbone: str) -> str | None:
    """What a backbone is for, where its family alone tells it."""
    family, _ = split_name(backbone)
    tasks = FAMILIES[family].tasks
    return next(iter(tasks)) if len(tasks) == 1 else None
