"""scikit-learn's handwritten digits, as the zip of class folders that a user would upload."""

import io
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

_SHADES: Final = " .:-=+*#%@"
_BRIGHTEST: Final = 16


def write_zip(path: Path, count: int) -> None:
    """Write the first ``count`` of the 8×8 pictures as ``DIGIT/NUMBER.png``."""
    digits = load_digits()
    with zipfile.ZipFile(path, "w") as archive:
        for number, (image, label) in enumerate(zip(digits.images[:count], digits.target[:count], strict=True)):
            archive.writestr(f"{label}/{number:04}.png", _png(image))


def picture(content: bytes) -> str:
    """The picture in characters, two for each pixel."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image.convert("L"), dtype=int)
    return "\n".join("".join(2 * _SHADES[value * (len(_SHADES) - 1) // 255] for value in row) for row in pixels)


def _png(image: NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((image * (255 / _BRIGHTEST)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
