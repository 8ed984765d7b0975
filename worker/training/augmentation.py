"""Augmentation of training items, never of validation; what one looks like follows from (seed, epoch, place) alone."""

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np

from models_store.backbones.family import Batch
from models_store.errors import FinetunedError, InvalidError
from models_store.preprocessing.decoding import open_image
from models_store.preprocessing.image import PIXELS, ImagePreprocessing
from models_store.preprocessing.protocol import Prepared, Preprocessing
from models_store.preprocessing.text import TextPreprocessing
from worker.training import pictures
from worker.training.data import ItemRows
from worker.training.sampling import Rows

Strength = Literal["light", "strong"]
Prepare = Callable[[Sequence[bytes], Sequence[np.random.Generator]], list[Prepared | FinetunedError]]
"""Contents, and a source of chance for each → what a preprocessing gives."""
WORDS_LEFT_OUT: Final = {"light": 0.1, "strong": 0.2}
_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""A run without spaces; one character of scripts that are written without them (kana, Chinese characters)."""


class AugmentedRows:
    """The rows of a split, each a little different every time that it is drawn.

    Raises:
        InvalidError: ``augmentation_unsupported``.
    """

    def __init__(self, rows: ItemRows, preprocessing: Preprocessing, strength: Strength, seed: int) -> None:
        self._rows, self._seed = rows, seed
        self._prepare = _preparing(preprocessing, strength)

    def __len__(self) -> int:
        return len(self._rows)

    def drawn(self, rows: Rows, epoch: int, places: Rows) -> Batch:
        """As ``data.ChangingRows``."""
        contents = [self._rows.content(row) for row in rows]
        chances = [np.random.default_rng((self._seed, epoch, place)) for place in places]
        return self._rows.batch(rows, self._prepare(contents, chances))


def _preparing(preprocessing: Preprocessing, strength: Strength) -> Prepare:
    if isinstance(preprocessing, ImagePreprocessing):
        return _images(preprocessing, strength)
    if isinstance(preprocessing, TextPreprocessing):
        return _texts(preprocessing, strength)
    raise InvalidError(
        "augmentation_unsupported",
        "This backbone prepares its input in a way of its own, which cannot be augmented. Choose augmentation none.",
        param="training.augmentation",
    )


def _images(preprocessing: ImagePreprocessing, strength: Strength) -> Prepare:
    change = pictures.CHANGES[strength]
    fill = tuple(round(255 * channel) for channel in preprocessing.mean)

    def prepare(content: bytes, chance: np.random.Generator) -> Prepared | FinetunedError:
        try:
            image = open_image(content).image
        except FinetunedError as error:
            return error
        return Prepared({PIXELS: preprocessing.transform(change(image, chance, fill))}, {})

    return lambda contents, chances: list(map(prepare, contents, chances))


def _texts(preprocessing: TextPreprocessing, strength: Strength) -> Prepare:
    share = WORDS_LEFT_OUT[strength]

    def thin(content: bytes, chance: np.random.Generator) -> bytes:
        return thinned(content.decode("utf-8", errors="replace"), share, chance).encode()

    return lambda contents, chances: preprocessing.prepare(list(map(thin, contents, chances)))


def thinned(text: str, share: float, chance: np.random.Generator) -> str:
    """The text without a random ``share`` of its words, and with one at least.

    "Random deletion" of Wei and Zou 2019, "EDA: Easy data augmentation techniques".
    """
    words = list(_WORD.finditer(text))
    gone = chance.random(len(words)) < share
    if not words or not gone.any():
        return text
    if gone.all():
        gone[chance.integers(len(words))] = False
    kept, end = [], 0
    for word, drop in zip(words, gone, strict=True):
        if not drop:
            kept.append(text[end : word.end()])
        end = word.end()
    return "".join(kept).strip()
