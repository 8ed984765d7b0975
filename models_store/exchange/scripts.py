"""The programs that a model card shows: the model run by its library alone, and as a module of Lightning."""

from typing import Final

from models_store.backbones.family import TEXTS
from models_store.exchange.libraries import Library, library
from models_store.exchange.source import BACKBONE, Source

_OPEN_TENSORS: Final = (
    'config, tensors = json.load(open("config.json", encoding="utf-8")), load_file("model.safetensors")'
)
_OPEN_IMAGE: Final = (
    '    image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")',
    '    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")',
)
_HEAD: Final = 'torch.nn.functional.linear({features}, tensors["head.weight"], tensors["head.bias"])'
_ANSWER: Final = '    print({config["id2label"][str(i)]: p for i, p in enumerate(logits[0].softmax(0).tolist())})'


def ten_lines(source: Source) -> str:
    """A script, to be run in the unpacked folder, that prints the probabilities of each file or text it is given."""
    parts = library(source)
    texts = source.architecture.task == TEXTS
    lines = [
        "import json, sys, torch",
        *(() if texts else ("from PIL import Image, ImageOps",)),
        "from safetensors.torch import load_file",
        *parts.imports,
        "",
        _OPEN_TENSORS,
        *_load(parts),
        *parts.prepare,
        f"for {'text' if texts else 'path'} in sys.argv[1:]:",
        *(() if texts else _OPEN_IMAGE),
        *(f"    {_named(statement, 'model', parts.batch)}" for statement in parts.run),
        f"    logits = {_HEAD.format(features=_named(parts.features, 'model', parts.batch))}",
        _ANSWER,
    ]
    return "\n".join(lines)


def _load(parts: Library) -> list[str]:
    """Statements for the backbone with its weights, frozen and in eval mode."""
    if parts.load:
        return [f"{parts.load}.eval().requires_grad_(False)"]
    weights = f'{{n[{len(BACKBONE)}:]: t for n, t in tensors.items() if n.startswith("{BACKBONE}")}}'
    return [
        f"model = {parts.build}.eval().requires_grad_(False)",
        *(_named(statement, "model", parts.batch) for statement in parts.adjust),
        f"model.load_state_dict({weights})",
    ]


def _named(piece: str, model: str, batch: str) -> str:
    return piece.replace("{model}", model).replace("{batch}", batch)


def lightning_module(source: Source) -> str:
    """A module that loads the checkpoint of ``?format=ckpt``, saved as ``model.ckpt``."""
    parts = library(source)
    lines = [
        "import pytorch_lightning as pl",
        "import torch",
        parts.module_import,
        "",
        "class Classifier(pl.LightningModule):",
        "    def __init__(self, config, width, classes):",
        "        super().__init__()",
        f"        self.backbone = {parts.build}",
        *(f"        {_named(statement, 'self.backbone', 'batch')}" for statement in parts.adjust),
        "        self.head = torch.nn.Linear(width, classes)",
        "",
        "    def forward(self, batch):",
        *(f"        {_named(statement, 'self.backbone', 'batch')}" for statement in parts.run),
        f"        return self.head({_named(parts.features, 'self.backbone', 'batch')})",
        "",
        'model = Classifier.load_from_checkpoint("model.ckpt", map_location="cpu", weights_only=True).eval()',
    ]
    return "\n".join(lines)
