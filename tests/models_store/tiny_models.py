"""Folders as the hub has them, tiny and with random weights: every kind of text and image model that must work.

Their tokenizers are real ones, of the algorithm that the kind uses, trained here on a few sentences.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedTokenizerFast

POSITIONS: Final = 40
_CORPUS: Final = (
    "a good film with a good story and good people in it",
    "a bad film that nobody should ever have to see again",
    "the story of a word that was looking for another word",
    "정말 재미있는 영화였어요 배우들의 연기도 좋았습니다",
    "시간이 아까운 영화 다시는 보고 싶지 않다",
) * 3
_SHAPE: Final = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@dataclass(frozen=True)
class TextKind:
    """A kind of text model: its tokenizer, and what must come of it.

    ``specials`` names the special tokens by their role; ``wrapped`` says whether texts are put between two of them.
    """

    tokenizer: Callable[[list[str]], Tokenizer]
    specials: dict[str, str]
    wrapped: bool
    pooling: str
    limit: int = POSITIONS
    token_types: bool = False
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    padding_side: str = "right"
    tokenizer_class: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def _wordpiece(specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _trained(tokenizer, trainers.WordPieceTrainer(vocab_size=250, special_tokens=specials, show_progress=False))


def _bytes(specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    return _trained(tokenizer, trainer)


def _unigram(specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    unknown = next(token for token in specials if "unk" in token.lower())
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=specials, unk_token=unknown, show_progress=False)
    return _trained(tokenizer, trainer)


def _trained(tokenizer: Tokenizer, trainer: Any) -> Tokenizer:
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return tokenizer


_BERT: Final = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_ROBERTA: Final = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
_THREE: Final = ("input_ids", "token_type_ids", "attention_mask")

TEXT_KINDS: Final[dict[str, TextKind]] = {
    "bert": TextKind(_wordpiece, _BERT, True, "cls", token_types=True, inputs=_THREE, tokenizer_class="BertTokenizer"),
    "distilbert": TextKind(
        _wordpiece,
        _BERT,
        True,
        "cls",
        inputs=_THREE,
        settings={"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    ),
    "roberta": TextKind(_bytes, _ROBERTA, True, "cls", limit=POSITIONS - 2, settings={"type_vocab_size": 1}),
    "albert": TextKind(_unigram, _BERT, True, "cls", token_types=True, inputs=_THREE, settings={"embedding_size": 8}),
    "electra": TextKind(
        _wordpiece, _BERT, True, "cls", token_types=True, inputs=_THREE, settings={"embedding_size": 8}
    ),
    "deberta-v2": TextKind(
        _unigram,
        _BERT,
        True,
        "cls",
        inputs=_THREE,
        settings={"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]},
    ),
    "mpnet": TextKind(_wordpiece, {**_ROBERTA, "unk": "[UNK]"}, True, "cls", limit=POSITIONS - 2),
    "modernbert": TextKind(_bytes, _BERT, True, "cls"),
    "xlm-roberta": TextKind(_unigram, _ROBERTA, True, "cls", limit=POSITIONS - 2, settings={"type_vocab_size": 1}),
    "gpt2": TextKind(
        _bytes, {"eos": "<|endoftext|>"}, False, "last", settings={"n_inner": 32}, tokenizer_class="GPT2Tokenizer"
    ),
    "llama": TextKind(
        _bytes, {"bos": "<s>", "eos": "</s>"}, False, "last", padding_side="left", settings={"num_key_value_heads": 1}
    ),
    "qwen2": TextKind(
        _bytes,
        {"eos": "<|im_end|>", "pad": "<|endoftext|>"},
        False,
        "last",
        padding_side="left",
        settings={"num_key_value_heads": 1},
    ),
}
IMAGE_KINDS: Final[dict[str, dict[str, Any]]] = {
    "vit": {**_SHAPE, "image_size": 32, "patch_size": 8},
    "deit": {**_SHAPE, "image_size": 32, "patch_size": 8},
    "beit": {**_SHAPE, "image_size": 32, "patch_size": 8},
    "dinov2": {**_SHAPE, "image_size": 56, "patch_size": 8},
    "dinov2_with_registers": {**_SHAPE, "image_size": 56, "patch_size": 8},
    "swin": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 4,
    },
    "convnext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
}
"""With the processor that each was published with; see ``PROCESSORS``."""
PROCESSORS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "vit": ("ViTImageProcessor", {"size": {"height": 32, "width": 32}}),
    "deit": ("DeiTImageProcessor", {"size": {"height": 36, "width": 36}, "crop_size": {"height": 32, "width": 32}}),
    "beit": ("BeitImageProcessor", {"size": {"height": 32, "width": 32}}),
    "dinov2": ("BitImageProcessor", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}}),
    "dinov2_with_registers": (
        "BitImageProcessor",
        {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}},
    ),
    "swin": ("ViTImageProcessor", {"size": {"height": 32, "width": 32}, "resample": 3}),
    "convnext": ("ConvNextImageProcessor", {"size": {"shortest_edge": 32}, "crop_pct": 0.875}),
    "resnet": ("ConvNextImageProcessor", {"size": {"shortest_edge": 32}, "crop_pct": 0.875}),
}


def text_model(folder: Path, kind: str, **settings: Any) -> Path:
    """A folder as ``save_pretrained`` leaves it, of one of ``TEXT_KINDS``."""
    described = TEXT_KINDS[kind]
    tokenizer = _library_tokenizer(kind)
    tokenizer.save_pretrained(folder)
    if described.tokenizer_class is not None:
        edit_json(folder / "tokenizer_config.json", tokenizer_class=described.tokenizer_class)
    values = {**_SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": POSITIONS}
    ids = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "bos", "eos", "cls", "sep")}
    _save_random(folder, kind, {**values, **ids, **described.settings, **settings})
    return folder


def image_model(folder: Path, kind: str, processor: dict[str, Any] | None = None, **settings: Any) -> Path:
    """A folder as ``save_pretrained`` leaves it, of one of ``IMAGE_KINDS``."""
    name, values = PROCESSORS[kind]
    save_processor(folder, name, **{**values, **(processor or {})})
    _save_random(folder, kind, {**IMAGE_KINDS[kind], **settings})
    return folder


def save_processor(folder: Path, name: str, **values: Any) -> None:
    """The ``preprocessor_config.json`` of an image processor of transformers."""
    getattr(transformers, name)(**values).save_pretrained(folder)


def edit_json(path: Path, **values: Any) -> None:
    """Change some values of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _save_random(folder: Path, kind: str, settings: dict[str, Any]) -> None:
    logging: Any = transformers.utils.logging
    logging.disable_progress_bar()
    factory: Any = AutoModel
    factory.from_config(CONFIG_MAPPING[kind](**settings)).save_pretrained(folder)


@cache
def _library_tokenizer(kind: str) -> Any:
    described = TEXT_KINDS[kind]
    tokenizer = described.tokenizer(list(described.specials.values()))
    if described.wrapped:
        first, last = described.specials["cls"], described.specials["sep"]
        ids = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ids)
    untyped: Any = PreTrainedTokenizerFast
    return untyped(
        tokenizer_object=tokenizer,
        padding_side=described.padding_side,
        model_input_names=list(described.inputs),
        **{f"{role}_token": token for role, token in described.specials.items()},
    )
