"""Images that their sender has preprocessed: taken as they are, if they are what the model reads. No torch here."""

from collections.abc import Mapping
from typing import Any

import numpy
from numpy.typing import NDArray

from models_store.errors import InvalidError

Array = NDArray[numpy.float32]
Shape = tuple[int, int, int]


def shape(preprocessing: Mapping[str, Any]) -> Shape | None:
    """Channels, height and width that a model of this preprocessing's card reads; ``None`` where it reads no images."""
    if preprocessing.get("kind") != "image":
        return None
    height, width = preprocessing["crop"]
    return 3, height, width


def fault(array: Array, wanted: Shape | None) -> InvalidError | None:
    """What is wrong with pixels [3, height, width] for a model that reads ``wanted``.

    A shape that the network could read, but that its preprocessing does not make, is refused: nobody has measured what
    the model makes of it. NaN and infinity would come back as NaN.
    """
    if array.shape != wanted:
        read = "no pixels" if wanted is None else f"pixels of the shape {list(wanted)}"
        return InvalidError(
            "invalid_pixels", f"The model reads {read}, not {list(array.shape)}. Preprocess as its metadata says."
        )
    if not numpy.isfinite(array).all():
        return InvalidError("invalid_pixels", "The pixels hold NaN or infinity. Send finite numbers.")
    return None
