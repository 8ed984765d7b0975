"""What the servers are asked, and what our models for them are made from."""

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.serving import samples


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two splits of noise, one picture of the shape 4:3 in each."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for split in ("train", "val"):
            for place, (width, height) in enumerate([(30, 20), (32, 24)]):
                written = io.BytesIO()
                Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(written, "JPEG")
                archive.writestr(f"{split}/ants/{place}.jpg", written.getvalue())
    return tmp_path / "photos.zip"


def test_the_text_has_thirty_words() -> None:
    assert len([word for word in samples.TEXT.split() if word.isalpha()]) == 30


def test_the_photo_is_a_jpeg_of_500_by_375(photos: Path) -> None:
    image = Image.open(io.BytesIO(base64.b64decode(samples.photo(photos))))
    assert (image.format, image.size) == ("JPEG", (500, 375))


def test_the_images_of_a_split_are_of_two_classes_of_which_one_is_darker(photos: Path, tmp_path: Path) -> None:
    samples.write_images(photos, tmp_path / "images.zip")
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        brightness = {
            name: np.asarray(Image.open(io.BytesIO(archive.read(name)))).mean() for name in archive.namelist()
        }
    assert sorted(brightness) == [f"{split}/{name}/0.jpg" for split in ("train", "val") for name in ("day", "night")]
    assert brightness["val/night/0.jpg"] < brightness["val/day/0.jpg"] / 2


def test_the_texts_are_the_first_of_each_class(tmp_path: Path) -> None:
    rows = [f"text {place},{'odd' if place % 5 else 'even'}" for place in range(500)]
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *rows]), "utf-8")
    samples.write_texts(tmp_path, tmp_path / "texts.zip")
    with zipfile.ZipFile(tmp_path / "texts.zip") as archive:
        lines = archive.read("val.csv").decode().splitlines()
    assert lines[0] == "text,label"
    assert {label: sum(line.endswith(label) for line in lines) for label in ("odd", "even")} == {"odd": 48, "even": 48}
