"""transformers' own modules from a folder or a configuration, and what their configuration says they are for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel
from transformers.models.auto import modeling_auto

from models_store.backbones.family import IMAGES, TEXTS
from models_store.errors import InvalidError

# What transformers raises for folders that it cannot make a model, a tokenizer or an image processor of.
LOAD_ERRORS: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ImportError,
    AssertionError,
    NotImplementedError,
)
LOCAL: Final[dict[str, Any]] = {"local_files_only": True, "trust_remote_code": False}
# Where a model was loaded from, and by what: neither says what it is.
INCIDENTAL: Final = ("_name_or_path", "transformers_version", "name_or_path", "local_files_only", "_commit_hash")

DECODERS: Final = frozenset(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - frozenset(
    modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
)
"""Kinds of text model that read from left to right, so that only the last token has seen the whole text."""
_OF_TEXTS: Final = frozenset(
    (
        *modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        *modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        *modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        *modeling_auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
    )
)
_OF_IMAGES: Final = frozenset(
    (*modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES, *modeling_auto.MODEL_FOR_IMAGE_MAPPING_NAMES)
)


def task_of_kind(model_type: object) -> str | None:
    """What a model of this ``model_type`` is for, by transformers' own lists; ``None`` where they name neither task."""
    if model_type in _OF_TEXTS:
        return TEXTS
    return IMAGES if model_type in _OF_IMAGES else None


def task_of_folder(folder: Path) -> str | None:
    """What the model in ``folder`` is for; ``None`` where it cannot be a backbone."""
    try:
        return task_of_config((folder / "config.json").read_bytes())
    except OSError:
        return None


def task_of_config(content: bytes) -> str | None:
    """What a model with this ``config.json`` is for; ``None`` where it cannot be a backbone."""
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(config, dict) or config.get("is_encoder_decoder"):
        return None
    return task_of_kind(config.get("model_type"))


def load_config(folder: Path) -> Any:
    """The configuration in ``folder``.

    Raises:
        InvalidError: ``unsupported_backbone``, not one of transformers' own, or of an encoder with a decoder.
    """
    try:
        config = AutoConfig.from_pretrained(folder, **LOCAL)  # nosec B615 # a folder
    except LOAD_ERRORS as error:
        raise unsupported("transformers cannot load it") from error
    if config.is_encoder_decoder:
        raise unsupported("It is an encoder with a decoder")
    return config


def load_module(folder: Path, config: Any, prepare: Callable[[Any], None]) -> nn.Module:
    """``AutoModel`` in float32 and eval mode, with the weights in ``folder``.

    ``prepare`` takes away the parts that the features do not use; only what is left must be among the weights.

    Raises:
        InvalidError: ``unsupported_backbone`` or ``weights_mismatch``.
    """
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    try:
        module, told = AutoModel.from_pretrained(  # nosec B615 # a folder
            folder, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **LOCAL
        )
    except LOAD_ERRORS as error:
        raise unsupported("transformers cannot load it") from error
    prepare(module)
    missing = sorted(set(told["missing_keys"]) & module.state_dict().keys())
    if missing:
        raise InvalidError(
            "weights_mismatch",
            f"The weights lack {missing[0]} ({len(missing)} tensors in all). Use a complete checkpoint.",
        )
    return _at_rest(module)


def random_module(config: Any, prepare: Callable[[Any], None]) -> nn.Module:
    """As ``load_module``, with random weights."""
    untyped: Any = AutoModel
    try:
        module = untyped.from_config(config, dtype=torch.float32, trust_remote_code=False)
    except LOAD_ERRORS as error:
        raise unsupported("transformers cannot build it") from error
    prepare(module)
    return _at_rest(module)


def config_json(module: Any) -> dict[str, Any]:
    """The module's configuration as plain JSON, every default written out."""
    values: dict[str, Any] = json.loads(module.config.to_json_string(use_diff=False))
    return {name: value for name, value in values.items() if name not in INCIDENTAL}


def config_from(values: dict[str, Any]) -> Any:
    """The configuration that ``config_json`` wrote."""
    return CONFIG_MAPPING[values["model_type"]].from_dict(dict(values))


def drop_pooler(module: Any) -> None:
    """Take away a pooler that the features do not use, and which many checkpoints lack."""
    pooler = getattr(module, "pooler", None)
    if pooler is not None and any(True for _ in pooler.parameters()):
        module.pooler = None


def unknown_pooling(wanted: str, known: list[str]) -> InvalidError:
    """The error for a pooling that this model cannot have, with those that it can."""
    message = f"This model has no pooling {wanted}. Use one of {', '.join(known)}, or leave it out."
    return InvalidError("unknown_pooling", message, param="preprocessing.pooling")


def unsupported(reason: str) -> InvalidError:
    """The error for a model that exists and cannot serve here."""
    message = (
        f"This model cannot be a backbone: {reason}. "
        "Choose a text encoder or decoder, or an image encoder, that transformers knows."
    )
    return InvalidError("unsupported_backbone", message, param="backbone")


def _at_rest(module: Any) -> nn.Module:
    module.config.use_cache = False
    trunk: nn.Module = module
    return trunk.eval()
