"""Images as the weights' own preset wants them, to the pixel."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import PIL
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F  # noqa: N812 - the library's own usage

from models_store.errors import FinetunedError, InvalidError
from models_store.preprocessing.decoding import MAX_PIXELS, open_image
from models_store.preprocessing.protocol import Prepared

CropMode = Literal["center", "squash", "border"]
CropRounding = Literal["half_even", "down"]
PIXELS = "pixels"


@dataclass(frozen=True)
class ImagePreprocessing:
    """Resize, crop, scale to [0, 1], normalise: equal to the bit to torchvision's presets and timm's eval transforms.

    Image processors of transformers, in their form for Pillow, are met within the rounding of float32.

    Args:
        resize: an int is the length of the shorter side after resizing; a pair is a (height, width) that ``crop_mode``
            explains; ``None`` resizes nothing.
        crop: (height, width) of the result; what is smaller is padded.
        crop_mode: ``center`` keeps the aspect ratio so that ``resize`` is covered; ``squash`` gives it up; ``border``
            keeps it so that ``resize`` holds the whole image, and fills the rest with the mean colour.
        interpolation: torchvision's name for it, such as ``bilinear``.
        mean, std: per channel, in units of [0, 1].
        crop_rounding: where the crop begins if it cannot be in the very middle: torchvision and timm round halves to
            the even pixel, transformers rounds down.
    """

    resize: int | tuple[int, int] | None
    crop: tuple[int, int]
    crop_mode: CropMode
    interpolation: str
    antialias: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_rounding: CropRounding = "half_even"

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Self:
        """The preprocessing that ``card()`` described."""
        resize = card["resize"]
        return cls(
            resize=tuple(resize) if isinstance(resize, list) else resize,
            crop=(card["crop"][0], card["crop"][1]),
            crop_mode=card["crop_mode"],
            interpolation=card["interpolation"],
            antialias=card["antialias"],
            mean=tuple(card["mean"]),
            std=tuple(card["std"]),
            crop_rounding=card.get("crop_rounding", "half_even"),  # cards of before this was told
        )

    def card(self) -> dict[str, Any]:
        """Plain JSON; ``load_preprocessing`` reads it."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"kind": "image", **values}

    def save(self, directory: Path) -> None:
        """Nothing to write: the card holds it all."""

    def sha256(self) -> str:
        """Hash over the card and the version of Pillow, whose pixels these are."""
        decides = {"card": self.card(), "pillow": PIL.__version__}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def prepare(self, contents: Sequence[bytes]) -> list[Prepared | FinetunedError]:
        """Decode and transform; tensors are ``pixels`` [3, height, width] float32."""
        return [self._prepare_one(content) for content in contents]

    def collate(self, items: Sequence[Prepared]) -> dict[str, torch.Tensor]:
        """``pixels`` [N, 3, height, width] float32."""
        return {PIXELS: torch.stack([item.tensors[PIXELS] for item in items])}

    def transform(self, image: Image.Image) -> torch.Tensor:
        """Pixels [3, height, width] float32 of an upright RGB image."""
        resized = self._resize(image, self._resized(image))
        if self.crop_mode == "border":
            resized = self._pad(resized)
        pixels = F.convert_image_dtype(F.pil_to_tensor(self._cropped(resized)), torch.float)
        normalised: torch.Tensor = F.normalize(pixels, mean=list(self.mean), std=list(self.std))
        return normalised

    def _prepare_one(self, content: bytes) -> Prepared | FinetunedError:
        try:
            decoded = open_image(content)
            height, width = self._resized(decoded.image)
            if not 0 < height * width <= MAX_PIXELS:
                raise InvalidError(
                    "image_too_large", "The image is so long and narrow that it cannot be resized. Cut it first."
                )
        except FinetunedError as error:
            return error
        upscaled = height > decoded.image.height or width > decoded.image.width
        return Prepared({PIXELS: self.transform(decoded.image)}, {**decoded.diagnostics, "upscaled": upscaled})

    def _resized(self, image: Image.Image) -> tuple[int, int]:
        """(height, width) after resizing, rounded as the library rounds in that mode."""
        if self.resize is None:
            return image.height, image.width
        if isinstance(self.resize, int):
            shorter = min(image.size)
            return int(self.resize * image.height / shorter), int(self.resize * image.width / shorter)
        if self.crop_mode == "squash":
            return self.resize
        ratios = (image.height / self.resize[0], image.width / self.resize[1])
        ratio = max(ratios) if self.crop_mode == "border" else min(ratios)
        return round(image.height / ratio), round(image.width / ratio)

    def _resize(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        mode = InterpolationMode(self.interpolation)
        resized: Image.Image = F.resize(image, list(size), interpolation=mode, antialias=self.antialias)
        return resized

    def _cropped(self, image: Image.Image) -> Image.Image:
        """The middle; black where the image is smaller."""
        if self.crop_rounding == "half_even":
            middle: Image.Image = F.center_crop(image, list(self.crop))
            return middle
        left, top = (image.width - self.crop[1]) // 2, (image.height - self.crop[0]) // 2
        return image.crop((left, top, left + self.crop[1], top + self.crop[0]))

    def _pad(self, image: Image.Image) -> Image.Image:
        """Fill up to the crop with the mean colour, the odd pixel to the right and below."""
        down, across = max(0, self.crop[0] - image.height), max(0, self.crop[1] - image.width)
        fill = [round(255 * channel) for channel in self.mean]
        sides = [across // 2, down // 2, (across + 1) // 2, (down + 1) // 2]
        padded: Image.Image = F.pad(image, sides, fill=fill) if across or down else image
        return padded
