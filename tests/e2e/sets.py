"""Small labelled sets, made on the spot, in the upload form."""

import io
import random
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"blue": (40, 60, 200), "red": (200, 50, 40), "green": (30, 160, 60)}


def picture(colour: str, seed: int, size: int = 48) -> bytes:
    """A JPEG with a disc of one colour on a noisy ground."""
    chance = random.Random(f"{colour}-{seed}")
    image = Image.new("RGB", (size, size), tuple(chance.randrange(90, 160) for _ in range(3)))
    left, top = chance.randrange(4, size // 3), chance.randrange(4, size // 3)
    ImageDraw.Draw(image).ellipse((left, top, left + size // 2, top + size // 2), fill=COLOURS[colour])
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def picture_zip(per_class: int = 12, colours: tuple[str, ...] = ("blue", "red")) -> bytes:
    """A zip of class folders."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for colour in colours:
            for number in range(per_class):
                archive.writestr(f"{colour}/{number:03d}.jpg", picture(colour, number))
    return buffer.getvalue()


WORDS = {
    "praise": ["wonderful", "a delight", "moving and funny", "superb acting", "I loved it", "brilliant"],
    "blame": ["dreadful", "a waste of time", "boring and long", "wooden acting", "I hated it", "awful"],
}


def sentence(label: str, number: int) -> str:
    """A sentence of one sentiment."""
    chance = random.Random(f"{label}-{number}")
    first, second = chance.sample(WORDS[label], 2)
    return f"The film is {first}, and the ending is {second}. ({number})"


def sentence_csv(per_class: int = 20) -> bytes:
    """A CSV with ``text`` and ``label``."""
    rows = [f'"{sentence(label, number)}",{label}' for label in WORDS for number in range(per_class)]
    return "\n".join(["text,label", *rows, ""]).encode()


def zip_folder(folder: Path, into: Path) -> Path:
    """All files of a folder in a zip, stored."""
    with zipfile.ZipFile(into, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return into
