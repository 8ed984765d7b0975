"""How each library builds a backbone and prepares its input, in the words of a plain script that uses it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final

import timm.data
from timm.models import get_pretrained_cfg
from torchvision import models

from models_store.backbones import timm as family
from models_store.backbones.family import IMAGES, TEXTS
from models_store.backbones.plugin import GROUP
from models_store.exchange.source import BACKBONE, Source
from models_store.preprocessing.text import FOLDER, FROM_ENCODING

_PLUGIN_IMPORT: Final = "from importlib.metadata import entry_points"


@dataclass(frozen=True)
class Library:
    """Pieces of Python.

    Args:
        imports: what a script of these pieces needs, besides torch.
        module_import: what ``build`` alone needs.
        build: an expression for the backbone without its weights.
        adjust: statements that make ``{model}`` what the service runs.
        load: a statement for ``model`` with its weights, where the library reads them itself; else ``build`` is used.
        prepare: statements that make what turns items into the backbone's input.
        batch: an expression for that input: of ``image`` (upright, RGB) or of ``text``.
        run: statements that run ``{model}`` on ``{batch}``, where one expression is too little.
        features: an expression for the features [1, width], of ``{model}`` and ``{batch}`` or of what ``run`` gave.
        package: what has to be installed.
    """

    imports: tuple[str, ...]
    module_import: str
    build: str
    adjust: tuple[str, ...]
    load: str | None
    prepare: tuple[str, ...]
    batch: str
    run: tuple[str, ...]
    features: str
    package: str


def library(source: Source) -> Library:
    """The pieces for this model."""
    return _LIBRARIES[source.architecture.family, source.architecture.task](source)


def _torchvision(source: Source) -> Library:
    architecture = source.architecture
    arguments = {**architecture.config["arguments"], **_without_auxiliary_heads(architecture.name)}
    return _of_pixels(
        module_import="from torchvision import models",
        build=f"models.get_model({_literal(architecture.name)}, weights=None{_keywords(arguments)})",
        adjust=(f"{{model}}.set_submodule({_literal(architecture.config['classifier'])}, torch.nn.Identity())",),
        transform=_transform(source.card["preprocessing"]),
        package="torchvision",
    )


def _without_auxiliary_heads(name: str) -> dict[str, Any]:
    """As the library sets a model of this class for pretrained weights."""
    known = signature(signature(models.get_model_builder(name)).return_annotation).parameters
    wanted = {"aux_logits": False, "transform_input": True, "init_weights": False}
    return {key: value for key, value in wanted.items() if key in known} if "aux_logits" in known else {}


def _timm(source: Source) -> Library:
    config = source.architecture.config
    arguments = {"pretrained": False, "num_classes": 0, **config.get("arguments", {})}
    return _of_pixels(
        module_import="import timm",
        build=f"timm.create_model({_literal(config['model'])}{_keywords(arguments)})",
        adjust=(),
        transform=_timm_transform(source),
        package="timm",
    )


def _timm_transform(source: Source) -> tuple[str, str]:
    """The library's own transform for this model, where that is the one that the model was trained with."""
    card = source.card["preprocessing"]
    if family.preprocessing_for(_data_config(source.architecture.config["model"])).card() != card:
        return _transform(card)
    data_config = "**timm.data.resolve_data_config({}, model=model)"
    return "import timm", f"timm.data.create_transform({data_config})"


def _data_config(model: str) -> dict[str, Any]:
    untyped: Any = timm.data
    pretrained: Any = get_pretrained_cfg(model)
    config: dict[str, Any] = untyped.resolve_data_config(pretrained_cfg=pretrained.to_dict())
    return config


def _plugin_image(source: Source) -> Library:
    return _of_pixels(
        module_import=_PLUGIN_IMPORT,
        build=_plugin_module(source),
        adjust=(),
        transform=_transform(source.card["preprocessing"]),
        package=f"torchvision, and the package that registers plugin/{source.architecture.name}",
    )


def _plugin_text(source: Source) -> Library:
    card = source.card["preprocessing"]
    fields = _literal({name: FROM_ENCODING[name] for name in card["inputs"]})
    cut = f"{card['max_length']}, direction={_literal(card['truncation_side'])}"
    return Library(
        imports=(_PLUGIN_IMPORT, "from tokenizers import Tokenizer"),
        module_import=_PLUGIN_IMPORT,
        build=_plugin_module(source),
        adjust=(),
        load=None,
        prepare=(
            'tokenizer = Tokenizer.from_file("tokenizer.json")',
            "tokenizer.no_padding()",
            f"tokenizer.enable_truncation({cut})",
        ),
        batch=f"{{k: torch.tensor([getattr(tokenizer.encode(text), v)]) for k, v in {fields}.items()}}",
        run=(),
        features="{model}(**{batch}).flatten(1)",
        package=f"tokenizers, and the package that registers plugin/{source.architecture.name}",
    )


def _plugin_module(source: Source) -> str:
    submodule = source.architecture.config.get("submodule")
    part = f".get_submodule({_literal(submodule)})" if submodule else ""
    entry = f"entry_points(group={_literal(GROUP)}, name={_literal(source.architecture.name)})"
    return f"next(iter({entry})).load()(){part}"


def _of_pixels(
    *, module_import: str, build: str, adjust: tuple[str, ...], transform: tuple[str, str], package: str
) -> Library:
    return Library(
        imports=tuple(dict.fromkeys((module_import, transform[0]))),
        module_import=module_import,
        build=build,
        adjust=adjust,
        load=None,
        prepare=(f"transform = {transform[1]}",),
        batch="transform(image)[None]",
        run=(),
        features="{model}({batch}).flatten(1)",
        package=package,
    )


def _transform(card: Mapping[str, Any]) -> tuple[str, str]:
    """The preprocessing as torchvision's transforms; what those do not have, as timm's. Import, and expression."""
    means, stds = f"mean={card['mean']}", f"std={card['std']}"
    resize = card["resize"]
    height, width = card["crop"]
    if isinstance(resize, list) and card["crop_mode"] != "squash":
        share = f"crop_pct={height / (resize[0] + 0.5)}, crop_mode={_literal(card['crop_mode'])}"
        size = f"input_size=(3, {height}, {width}), interpolation={_literal(card['interpolation'])}"
        return "import timm", f"timm.data.create_transform({size}, {share}, {means}, {stds})"
    steps = [f"T.CenterCrop(({height}, {width}))", "T.ToTensor()", f"T.Normalize({means}, {stds})"]
    if resize is not None:
        mode = f"T.InterpolationMode({_literal(card['interpolation'])})"
        steps.insert(0, f"T.Resize({resize}, {mode}, antialias={card['antialias']})")
    return "from torchvision import transforms as T", f"T.Compose([{', '.join(steps)}])"


def _transformers(source: Source, **pieces: Any) -> Library:
    pooled = any(tensor.name.startswith(f"{BACKBONE}pooler.") for tensor in source.tensors)
    return Library(
        module_import="from transformers import AutoConfig, AutoModel",
        build="AutoModel.from_config(AutoConfig.for_model(**config))",
        adjust=() if pooled else ("{model}.pooler = None",),
        load='model = AutoModel.from_pretrained(".", key_mapping={r"^backbone\\.": ""})',
        package="transformers>=5",
        **pieces,
    )


def _transformers_text(source: Source) -> Library:
    card = source.card["preprocessing"]
    some = f"{{k: v for k, v in {{batch}}.items() if k in {_literal(card['inputs'])}}}"
    inputs = "{batch}" if _given_by_the_tokenizer(source) == set(card["inputs"]) else some
    return _transformers(
        source,
        imports=("from transformers import AutoModel, AutoTokenizer",),
        prepare=('tokenizer = AutoTokenizer.from_pretrained(".")',),
        batch=f'tokenizer(text, truncation=True, max_length={card["max_length"]}, return_tensors="pt")',
        run=(f"state = {{model}}(**{inputs}).last_hidden_state",),
        features=_OF_TOKENS[source.architecture.config["pooling"]],
    )


def _given_by_the_tokenizer(source: Source) -> set[str]:
    """What the tokenizer makes of a text; a model need not take all of it."""
    settings = json.loads((source.directory / FOLDER / "tokenizer_config.json").read_bytes())
    return set(settings.get("model_input_names", ()))


def _transformers_image(source: Source) -> Library:
    config = source.architecture.config
    skipped = 1 + (config["model"].get("num_register_tokens") or 0)
    return _transformers(
        source,
        imports=("from transformers import AutoImageProcessor, AutoModel",),
        prepare=('processor = AutoImageProcessor.from_pretrained(".", backend="pil")',),
        batch='processor(image, return_tensors="pt")["pixel_values"]',
        run=("output = {model}(pixel_values={batch})",),
        features=_OF_PLACES[config["pooling"]].replace("SKIPPED", str(skipped)),
    )


_OF_TOKENS: Final = {"cls": "state[:, 0]", "mean": "state.mean(1)", "last": "state[:, -1]"}
"""The pooling of one text, which has no padding."""
_STATE: Final = "output.last_hidden_state"
_OF_PLACES: Final = {
    "cls": f"{_STATE}[:, 0]",
    "pooler": "output.pooler_output.flatten(1)",
    "mean": f"{_STATE}.mean(1) if {_STATE}.ndim == 3 else {_STATE}.flatten(2).mean(2)",
    "cls+mean": f"torch.cat([{_STATE}[:, 0], {_STATE}[:, SKIPPED:].mean(1)], 1)",
}
_LIBRARIES: Final[Mapping[tuple[str, str], Callable[[Source], Library]]] = {
    ("torchvision", IMAGES): _torchvision,
    ("timm", IMAGES): _timm,
    ("plugin", IMAGES): _plugin_image,
    ("plugin", TEXTS): _plugin_text,
    ("hf", TEXTS): _transformers_text,
    ("hf", IMAGES): _transformers_image,
}


def _literal(value: Any) -> str:
    """As Python, with double quotes."""
    return json.dumps(value, ensure_ascii=False)


def _keywords(arguments: Mapping[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in arguments.items())
