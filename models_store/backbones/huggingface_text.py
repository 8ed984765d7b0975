"""Text models of Hugging Face: encoders and decoders, their tokenizers, limits and poolings."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from transformers import AutoTokenizer

from models_store.backbones.family import TEXTS, Architecture, Backbone, Batch
from models_store.backbones.huggingface_modules import (
    DECODERS,
    INCIDENTAL,
    LOAD_ERRORS,
    LOCAL,
    config_from,
    config_json,
    drop_pooler,
    load_config,
    load_module,
    random_module,
    unknown_pooling,
    unsupported,
)
from models_store.backbones.pooling import POOLINGS, shipped_pooling
from models_store.errors import InvalidError
from models_store.preprocessing.protocol import Prepared
from models_store.preprocessing.text import TextPreprocessing

_USUAL_MAX_LENGTH = 512


def load(folder: Path, name: str, weights: str | None, options: Mapping[str, Any]) -> Backbone:
    """The model in ``folder`` without its pooler; features are the token states, pooled as the model ships it.

    Options: ``max_length`` (tokens; at most what the model's positions allow) and ``pooling`` (``cls``, ``mean``,
    ``last``).
    """
    config = load_config(folder)
    module = load_module(folder, config, drop_pooler) if weights else random_module(config, drop_pooler)
    preprocessing = _preprocessing(folder, module, options.get("max_length"))
    described = {"model": config_json(module), "pooling": _pooling(folder, module, options.get("pooling"))}
    draft = Architecture("hf", name, TEXTS, 0, described)
    architecture = Architecture("hf", name, TEXTS, _width(module, preprocessing, draft), described)
    return Backbone(architecture, module, preprocessing, weights)


def build(architecture: Architecture) -> nn.Module:
    """See ``Family.build``."""
    return random_module(config_from(architecture.config["model"]), drop_pooler)


def extract(module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
    """Pooled last hidden states [N, width]."""
    hidden: torch.Tensor = module(**batch).last_hidden_state
    return POOLINGS[architecture.config["pooling"]](hidden, batch["attention_mask"])


def _width(module: nn.Module, preprocessing: TextPreprocessing, draft: Architecture) -> int:
    """Read by running the model on a word."""
    items = [item for item in preprocessing.prepare([b"word"]) if isinstance(item, Prepared)]
    try:
        with torch.no_grad():
            return extract(module, preprocessing.collate(items), draft).shape[1]
    except LOAD_ERRORS as error:
        raise unsupported("It does not give hidden states for a text") from error


def _preprocessing(folder: Path, module: Any, max_length: int | None) -> TextPreprocessing:
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **LOCAL)  # nosec B615 # a folder
    except LOAD_ERRORS as error:
        raise unsupported("transformers cannot load its tokenizer") from error
    if not tokenizer.is_fast:
        raise unsupported("Its tokenizer has no fast form")
    if len(tokenizer) > module.get_input_embeddings().num_embeddings:
        raise unsupported("Its tokenizer has more tokens than the model")
    padding = next((token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0)
    return TextPreprocessing(
        _tokenizer_files(tokenizer),
        max_length=_max_length(max_length, tokenizer, module),
        inputs=_inputs(tokenizer, module),
        pad_id=padding,
        truncation_side=tokenizer.truncation_side,
    )


def _inputs(tokenizer: Any, module: Any) -> list[str]:
    """``token_type_ids`` only where the tokenizer gives them and the model has a use for them."""
    names = ["input_ids", "attention_mask"]
    has_types = bool(getattr(module.config, "type_vocab_size", 0))
    return [*names, "token_type_ids"] if has_types and "token_type_ids" in tokenizer.model_input_names else names


def _max_length(wanted: int | None, tokenizer: Any, module: Any) -> int:
    limit = min(tokenizer.model_max_length, _positions(module))
    if wanted is not None and wanted > limit:
        message = f"This model reads at most {limit} tokens, not {wanted}. Lower max_length."
        raise InvalidError("max_length_too_large", message, param="preprocessing.max_length")
    special = tokenizer.num_special_tokens_to_add()
    if wanted is not None and wanted <= special:
        message = f"Of {wanted} tokens, {special} are the model's own. Raise max_length."
        raise InvalidError("max_length_too_small", message, param="preprocessing.max_length")
    return int(min(limit, _USUAL_MAX_LENGTH)) if wanted is None else wanted


def _positions(module: Any) -> float:
    """Tokens that the position embeddings can tell apart; RoBERTa and its kin count from behind the padding's id."""
    positions = getattr(module.config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:
        return float("inf")
    for name, layer in module.named_modules():
        if name.endswith("position_embeddings") and isinstance(layer, nn.Embedding) and layer.padding_idx is not None:
            return positions - layer.padding_idx - 1
    return positions


def _pooling(folder: Path, module: Any, wanted: str | None) -> str:
    if wanted is not None and wanted not in POOLINGS:
        raise unknown_pooling(wanted, list(POOLINGS))
    by_kind = "last" if module.config.model_type in DECODERS else "cls"
    return wanted or shipped_pooling(folder) or by_kind


def _tokenizer_files(tokenizer: Any) -> dict[str, bytes]:
    """What ``save_pretrained`` writes, without where it came from."""
    with TemporaryDirectory() as temporary:
        tokenizer.save_pretrained(temporary)
        files = {path.name: path.read_bytes() for path in sorted(Path(temporary).iterdir()) if path.is_file()}
    settings = json.loads(files["tokenizer_config.json"])
    kept = {name: value for name, value in settings.items() if name not in INCIDENTAL}
    return {**files, "tokenizer_config.json": json.dumps(kept, indent=2, ensure_ascii=False).encode()}
