"""Text models of Hugging Face: encoders and decoders that transformers knows without code of their own."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from models_store.backbones.family import DEFAULT, TEXTS, Architecture, Backbone, Batch, LocalWeights, unknown_weights
from models_store.backbones.huggingface_files import find_folder, import_folder
from models_store.backbones.pooling import POOLINGS, shipped_pooling
from models_store.errors import InvalidError
from models_store.preprocessing.protocol import Prepared
from models_store.preprocessing.text import TextPreprocessing

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_MAIN = "main"
_USUAL_MAX_LENGTH = 512
# Where a model was loaded from, and by what: neither says what it is.
_INCIDENTAL = ("_name_or_path", "transformers_version", "name_or_path", "local_files_only", "_commit_hash")
# What transformers raises for folders that it cannot make a model or a tokenizer of.
_LOAD_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError, AssertionError)


class HuggingFaceText:
    """``AutoModel`` without its pooler, in float32; features are the token states, pooled as the model ships it.

    Options: ``max_length`` (tokens; at most what the model's positions allow) and ``pooling`` (``cls``, ``mean``,
    ``last``).
    """

    tasks = frozenset({TEXTS})

    def names(self) -> list[str]:
        """None: any model of the hub may be named."""
        return []

    def weights(self, name: str) -> list[str]:  # noqa: ARG002
        """The revision ``main`` alone."""
        return [_MAIN]

    def resolve(self, name: str, weights: str) -> str:  # noqa: ARG002
        """``DEFAULT`` is ``main``."""
        return _MAIN if weights == DEFAULT else weights

    def check(self, name: str, weights: str | None) -> None:
        """See ``Family.check``; whether the hub has such a model shows only when it is loaded."""
        if not _NAME.fullmatch(name) or ".." in name or "--" in name:
            message = f"hf/{name} is no name of a model. Write hf/ORGANISATION/NAME, as on the hub."
            raise InvalidError("unknown_backbone", message, param="backbone")
        if weights not in (None, DEFAULT, _MAIN):
            raise unknown_weights(f"hf/{name}", str(weights), [DEFAULT, _MAIN])

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:
        """See ``Family.load``. Random weights, too, need the model's configuration and tokenizer."""
        self.check(name, weights)
        folder = find_folder(name, mirror)
        module = _load_module(folder, random=weights is None)
        preprocessing = _load_preprocessing(folder, module, options.get("max_length"))
        config = {"model": _config_json(module), "pooling": _pooling(folder, module, options.get("pooling"))}
        draft = Architecture("hf", name, TEXTS, 0, config)
        width = self._width(module, preprocessing, draft)
        architecture = Architecture(draft.family, name, draft.task, width, config)
        return Backbone(architecture, module, preprocessing, weights and _MAIN)

    def build(self, architecture: Architecture) -> nn.Module:
        """See ``Family.build``."""
        values = dict(architecture.config["model"])
        return _random(CONFIG_MAPPING[values["model_type"]].from_dict(values))

    def extract(self, module: nn.Module, batch: Batch, architecture: Architecture) -> torch.Tensor:
        """Pooled last hidden states [N, width]."""
        hidden: torch.Tensor = module(**batch).last_hidden_state
        return POOLINGS[architecture.config["pooling"]](hidden, batch["attention_mask"])

    def convert(self, name: str, weights: str, source: Path, destination: Path) -> str:  # noqa: ARG002
        """See ``Family.convert``; ``source`` is a folder or a zip of one, which must load as a whole."""
        import_folder(source, destination)
        module = _load_module(destination, random=False)
        _load_preprocessing(destination, module, None)
        return "by name"

    def _width(self, module: nn.Module, preprocessing: TextPreprocessing, draft: Architecture) -> int:
        """Read by running the model on a word."""
        items = [item for item in preprocessing.prepare([b"word"]) if isinstance(item, Prepared)]
        try:
            with torch.inference_mode():
                return self.extract(module, preprocessing.collate(items), draft).shape[1]
        except _LOAD_ERRORS as error:
            raise _unsupported("It does not give hidden states for a text") from error


def _load_module(folder: Path, *, random: bool) -> nn.Module:
    arguments: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    _quiet()
    try:
        config = AutoConfig.from_pretrained(folder, **arguments)
        if config.is_encoder_decoder:
            raise _unsupported("It is an encoder with a decoder")
        if random:
            return _random(config)
        module, told = AutoModel.from_pretrained(
            folder, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **arguments
        )
    except _LOAD_ERRORS as error:
        raise _unsupported("transformers cannot load it") from error
    missing = sorted(name for name in told["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise InvalidError(
            "weights_mismatch",
            f"The weights lack {missing[0]} ({len(missing)} tensors in all). Use a complete checkpoint.",
        )
    return _trunk(module)


def _quiet() -> None:
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()


def _random(config: Any) -> nn.Module:
    untyped: Any = AutoModel
    return _trunk(untyped.from_config(config, dtype=torch.float32, trust_remote_code=False))


def _trunk(module: Any) -> nn.Module:
    """Without the pooler, which the features do not use and which many checkpoints lack; in eval mode."""
    if getattr(module, "pooler", None) is not None:
        module.pooler = None
    module.config.use_cache = False
    trunk: nn.Module = module
    return trunk.eval()


def _load_preprocessing(folder: Path, module: Any, max_length: int | None) -> TextPreprocessing:
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except _LOAD_ERRORS as error:
        raise _unsupported("transformers cannot load its tokenizer") from error
    if not tokenizer.is_fast:
        raise _unsupported("Its tokenizer has no fast form")
    if len(tokenizer) > module.get_input_embeddings().num_embeddings:
        raise _unsupported("Its tokenizer has more tokens than the model")
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
        message = f"There is no pooling {wanted}. Use one of {', '.join(POOLINGS)}."
        raise InvalidError("unknown_pooling", message, param="preprocessing.pooling")
    kind = module.config.model_type
    decoder = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return wanted or shipped_pooling(folder) or ("last" if decoder else "cls")


def _config_json(module: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(module.config.to_json_string(use_diff=False))
    return {name: value for name, value in values.items() if name not in _INCIDENTAL}


def _tokenizer_files(tokenizer: Any) -> dict[str, bytes]:
    """What ``save_pretrained`` writes, without where it came from."""
    with TemporaryDirectory() as temporary:
        tokenizer.save_pretrained(temporary)
        files = {path.name: path.read_bytes() for path in sorted(Path(temporary).iterdir()) if path.is_file()}
    settings = json.loads(files["tokenizer_config.json"])
    kept = {name: value for name, value in settings.items() if name not in _INCIDENTAL}
    return {**files, "tokenizer_config.json": json.dumps(kept, indent=2, ensure_ascii=False).encode()}


def _unsupported(reason: str) -> InvalidError:
    message = f"This model cannot be a text backbone: {reason}. Choose an encoder or decoder that transformers knows."
    return InvalidError("unsupported_backbone", message, param="backbone")
