"""From a card back to the preprocessing that wrote it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models_store.preprocessing.image import ImagePreprocessing
from models_store.preprocessing.protocol import Preprocessing
from models_store.preprocessing.text import TextPreprocessing

KINDS: dict[str, Callable[[Mapping[str, Any], Path], Preprocessing]] = {
    "image": lambda card, _directory: ImagePreprocessing.from_card(card),
    "text": TextPreprocessing.from_card,
}


def load_preprocessing(card: Mapping[str, Any], directory: Path) -> Preprocessing:
    """The preprocessing whose ``card()`` is ``card`` and whose ``save(directory)`` wrote its files."""
    return KINDS[card["kind"]](card, directory)
