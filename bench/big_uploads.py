"""Uploads as large as users bring them, made here."""

import csv
import io
import random
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

_SIDE: Final = 480
_CLASSES: Final = ("ants", "bees", "wasps", "flies")


def images(path: Path, size: int) -> None:
    """A zip of at least ``size`` bytes: pictures of noise, each another, as PNG files that nothing can make smaller."""
    noise = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        number = 0
        while archive.start_dir < size:
            content = io.BytesIO()
            pixels = np.frombuffer(noise.bytes(_SIDE * _SIDE * 3), np.uint8).reshape(_SIDE, _SIDE, 3)
            Image.fromarray(pixels).save(content, "PNG", compress_level=0)
            archive.writestr(f"{_CLASSES[number % len(_CLASSES)]}/{number}.png", content.getvalue())
            number += 1


def texts(path: Path, count: int) -> None:
    """A CSV file of texts that one template made: the hardest ones to tell from copies of one another."""
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for number in range(count):
            order, day = chance.randint(10**6, 10**7), chance.randint(1, 365)
            text = (
                f"Dear customer, your order {order} of {chance.choice(words)} was shipped on day {day} and will arrive "
                f"at {chance.choice(words)} street within {chance.randint(2, 9)} days. Thank you for your purchase."
            )
            rows.writerow([text, _CLASSES[number % len(_CLASSES)]])
