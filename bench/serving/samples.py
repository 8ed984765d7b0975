"""What the servers are asked: a photo and a text; and the small data sets that our models for them are made from."""

import base64
import csv
import io
import zipfile
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageEnhance

Kind = Literal["image", "text"]
KINDS: Final[tuple[Kind, ...]] = ("image", "text")
TEXT: Final = (
    "The film begins slowly , but once the two brothers meet in the harbour it finds its voice , "
    "and what follows is as moving as anything that I saw all year"
)
_SIZE: Final = (500, 375)
_QUALITY: Final = 90
_DARKER: Final = 0.25
_EACH: Final = {"train": 24, "val": 12}
"""Items of each class."""


def photo(archive: Path) -> str:
    """The first photo of the archive that has the shape, at 500 × 375 as JPEG, in base64."""
    with zipfile.ZipFile(archive) as photos:
        for name in sorted(_jpegs(photos, "")):
            image = Image.open(io.BytesIO(photos.read(name))).convert("RGB")
            if image.width * _SIZE[1] == image.height * _SIZE[0]:
                return base64.b64encode(_jpeg(image.resize(_SIZE, Image.Resampling.BICUBIC))).decode("ascii")
    raise ValueError(f"There is no photo of shape 4:3 in {archive}.")


def write_images(archive: Path, to: Path) -> None:
    """A zip of two classes that also a backbone with random weights tells apart: photos, and the same ones darkened."""
    with zipfile.ZipFile(archive) as photos, zipfile.ZipFile(to, "w") as written:
        for split, count in _EACH.items():
            for name in sorted(_jpegs(photos, split))[: 2 * count : 2]:
                image = Image.open(io.BytesIO(photos.read(name))).convert("RGB")
                file = f"{Path(name).stem}.jpg"
                written.writestr(f"{split}/day/{file}", _jpeg(image))
                written.writestr(f"{split}/night/{file}", _jpeg(ImageEnhance.Brightness(image).enhance(_DARKER)))


def write_texts(folder: Path, to: Path) -> None:
    """A zip with the first texts of each class of ``train.csv`` and ``val.csv``."""
    with zipfile.ZipFile(to, "w") as written:
        for split, count in _EACH.items():
            output = io.StringIO()
            writer = csv.writer(output)
            writer.writerows([("text", "label"), *_first(folder / f"{split}.csv", 4 * count)])
            written.writestr(f"{split}.csv", output.getvalue())


def _first(file: Path, each: int) -> list[tuple[str, str]]:
    chosen: dict[str, list[tuple[str, str]]] = {}
    with file.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            chosen.setdefault(row["label"], []).append((row["text"], row["label"]))
    return [row for rows_of_label in chosen.values() for row in rows_of_label[:each]]


def _jpegs(archive: zipfile.ZipFile, folder: str) -> list[str]:
    return [name for name in archive.namelist() if name.startswith(folder) and name.endswith(".jpg")]


def _jpeg(image: Image.Image) -> bytes:
    output = io.BytesIO()
    image.save(output, "JPEG", quality=_QUALITY)
    return output.getvalue()
