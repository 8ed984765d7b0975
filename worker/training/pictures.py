"""Random changes of a training image before the pretrained model's own preprocessing, which stays as it is.

The transforms of the libraries draw from PyTorch's one global generator, which threads share; these draw from the
generator that they are given. The operations themselves are torchvision's.
"""

import math
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F  # noqa: N812 - the library's own usage

Fill = tuple[int, ...]
"""The colour of pixels that an operation leaves without content, 0 to 255 a channel: the mean that is subtracted."""
Operation = Callable[[Image.Image, float, Fill], Image.Image]
"""Changes an image by an amount of -1 to 1."""

OPERATIONS: Final[dict[str, Operation]] = {
    "brightness": lambda image, amount, _: F.adjust_brightness(image, 1 + 0.4 * amount),
    "contrast": lambda image, amount, _: F.adjust_contrast(image, 1 + 0.4 * amount),
    "saturation": lambda image, amount, _: F.adjust_saturation(image, 1 + 0.4 * amount),
    "sharpness": lambda image, amount, _: F.adjust_sharpness(image, 1 + 0.6 * amount),
    "posterize": lambda image, amount, _: F.posterize(image, 8 - round(2 * abs(amount))),
    "solarize": lambda image, amount, _: F.solarize(image, 255 - round(80 * abs(amount))),
    "autocontrast": lambda image, _amount, _: F.autocontrast(image),
    "equalize": lambda image, _amount, _: F.equalize(image),
    "rotate": lambda image, amount, fill: _affine(image, fill, angle=15 * amount),
    "shear_x": lambda image, amount, fill: _affine(image, fill, shear=(math.degrees(math.atan(0.15 * amount)), 0.0)),
    "shear_y": lambda image, amount, fill: _affine(image, fill, shear=(0.0, math.degrees(math.atan(0.15 * amount)))),
    "shift_x": lambda image, amount, fill: _affine(image, fill, shift=(round(0.15 * amount * image.width), 0)),
    "shift_y": lambda image, amount, fill: _affine(image, fill, shift=(0, round(0.15 * amount * image.height))),
}
"""Those of RandAugment (Cubuk et al. 2020), about as strong as its magnitude 9 of 30 at most."""


class Change(Protocol):
    """One of :data:`CHANGES`."""

    def __call__(self, image: Image.Image, chance: np.random.Generator, fill: Fill) -> Image.Image:
        """Another image; the one given is not touched."""


def light(image: Image.Image, chance: np.random.Generator, fill: Fill) -> Image.Image:
    """A part of at least 70 % of the area, mirrored half of the time."""
    del fill
    return _mirrored(_part(image, chance, smallest=0.7), chance)


def strong(image: Image.Image, chance: np.random.Generator, fill: Fill) -> Image.Image:
    """A part of at least 35 % of the area, mirrored half of the time, two random operations, a quarter of the time a
    hole (random erasing, Zhong et al. 2020)."""
    changed = _mirrored(_part(image, chance, smallest=0.35), chance)
    for name in chance.choice(list(OPERATIONS), size=2):
        changed = OPERATIONS[name](changed, chance.uniform(-1, 1), fill)
    return _with_hole(changed, chance, fill) if chance.random() < 0.25 else changed


CHANGES: Final[dict[str, Change]] = {"light": light, "strong": strong}


def _part(image: Image.Image, chance: np.random.Generator, smallest: float) -> Image.Image:
    """A random rectangle of ``smallest`` to 1 of the area, its aspect ratio up to 4/3 off the image's own."""
    share, ratio = chance.uniform(smallest, 1), math.exp(chance.uniform(-1, 1) * math.log(4 / 3))
    width = min(image.width, max(1, round(image.width * math.sqrt(share * ratio))))
    height = min(image.height, max(1, round(image.height * math.sqrt(share / ratio))))
    left, top = chance.integers(image.width - width + 1), chance.integers(image.height - height + 1)
    return image.crop((int(left), int(top), int(left) + width, int(top) + height))


def _mirrored(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else image


def _with_hole(image: Image.Image, chance: np.random.Generator, fill: Fill) -> Image.Image:
    share, ratio = chance.uniform(0.02, 0.2), math.exp(chance.uniform(-1, 1) * math.log(2))
    width = max(1, round(image.width * math.sqrt(share * ratio)))
    height = max(1, round(image.height * math.sqrt(share / ratio)))
    left, top = chance.integers(image.width - width + 1), chance.integers(image.height - height + 1)
    holed = image.copy()
    holed.paste(fill, (int(left), int(top), int(left) + width, int(top) + height))
    return holed


def _affine(
    image: Image.Image,
    fill: Fill,
    *,
    angle: float = 0.0,
    shift: tuple[int, int] = (0, 0),
    shear: tuple[float, float] = (0.0, 0.0),
) -> Image.Image:
    changed: Image.Image = F.affine(
        image, angle, list(shift), 1.0, list(shear), interpolation=InterpolationMode.BILINEAR, fill=list(fill)
    )
    return changed
