"""A library's image processor put as the product's own preprocessing, and proven to give the same pixels.

transformers has two processors for most models: one of Pillow, with which they were published, and one of torchvision
that rounds otherwise (pixels differ by a level of grey). Both are called by the same name, and ``AutoImageProcessor``
gives the second by default. Here Pillow's counts: it is what the weights were trained and measured with, and what the
other families use; ``AutoImageProcessor.from_pretrained(folder, backend="pil")`` gives it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy
import torch
from PIL import Image
from transformers import AutoImageProcessor
from transformers.image_utils import pil_torch_interpolation_mapping

from models_store.backbones.huggingface_modules import INCIDENTAL, LOAD_ERRORS, LOCAL, unsupported
from models_store.preprocessing.image import ImagePreprocessing

# (width, height): wide, tall, smaller than any crop; odd differences, so that rounding shows.
_PROBES: Final = ((641, 427), (301, 455), (97, 61))
_TOLERANCE: Final = 1e-5


def load_processor(folder: Path) -> tuple[ImagePreprocessing, dict[str, Any]]:
    """What the image processor in ``folder`` does, and its own settings as plain JSON.

    Raises:
        InvalidError: ``unsupported_backbone``, transformers cannot load it, or it does more than resize, crop, scale
            and normalise to one size.
    """
    untyped: Any = AutoImageProcessor
    try:
        processor: Any = untyped.from_pretrained(folder, backend="pil", **LOCAL)
        probes = [(image, _library_pixels(processor, image)) for image in _probes()]
        for candidate in _candidates(processor):
            if all(_same(candidate, image, pixels) for image, pixels in probes):
                return candidate, _settings(processor)
    except LOAD_ERRORS as error:
        raise unsupported("transformers cannot load its image processor") from error
    raise unsupported(f"Its image processor, {type(processor).__name__}, does more than resize, crop and normalise")


def _candidates(processor: Any) -> Iterator[ImagePreprocessing]:
    """What the settings can mean: some processors enlarge ``size`` by ``crop_pct`` first, or not when it is large."""
    size, crop = _sides(processor, "size"), _sides(processor, "crop_size")
    if not getattr(processor, "do_center_crop", None):
        crop = None
    if not getattr(processor, "do_resize", None):
        size = None
    square = (size, size) if isinstance(size, int) else size
    if isinstance(crop, int):
        crop = (crop, crop)
    share = getattr(processor, "crop_pct", None)
    if isinstance(size, int) and share:
        yield _express(processor, int(size / share), crop or square)
    if square is not None:
        yield _express(processor, square, crop or square)
    if crop is not None:
        yield _express(processor, size, crop)


def _express(processor: Any, resize: int | tuple[int, int] | None, crop: Any) -> ImagePreprocessing:
    """Other scales than 1/255 go into mean and deviation: (x f - m) / s = (x/255 - m/255f) / (s/255f)."""
    factor = 255 * processor.rescale_factor if processor.do_rescale else 255.0
    normalised = bool(processor.do_normalize)
    mean = _channels(processor.image_mean) if normalised else (0.0, 0.0, 0.0)
    std = _channels(processor.image_std) if normalised else (1.0, 1.0, 1.0)
    return ImagePreprocessing(
        resize=resize,
        crop=crop,
        crop_mode="squash" if isinstance(resize, tuple) else "center",
        interpolation=pil_torch_interpolation_mapping[processor.resample].value,
        antialias=True,
        mean=tuple(channel / factor for channel in mean),
        std=tuple(channel / factor for channel in std),
        crop_rounding="down",
    )


def _sides(processor: Any, name: str) -> int | tuple[int, int] | None:
    """``size`` or ``crop_size``: (height, width), or the length of the shorter side."""
    value = getattr(processor, name, None)
    height, width = getattr(value, "height", None), getattr(value, "width", None)
    if height and width:
        return int(height), int(width)
    shortest = getattr(value, "shortest_edge", None)
    return int(shortest) if shortest else None


def _channels(value: Any) -> tuple[float, ...]:
    return (float(value),) * 3 if isinstance(value, int | float) else tuple(float(channel) for channel in value)


def _probes() -> list[Image.Image]:
    random = numpy.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=numpy.uint8)) for width, height in _PROBES
    ]


def _library_pixels(processor: Any, image: Image.Image) -> torch.Tensor:
    pixels: torch.Tensor = processor(image, return_tensors="pt")["pixel_values"][0]
    return pixels


def _same(candidate: ImagePreprocessing, image: Image.Image, pixels: torch.Tensor) -> bool:
    ours = candidate.transform(image)
    return ours.shape == pixels.shape and torch.allclose(ours, pixels, rtol=0, atol=_TOLERANCE)


def _settings(processor: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(processor.to_json_string())
    return {name: value for name, value in values.items() if name not in INCIDENTAL}
