"""What can be predicted: texts as they are, images in base64, in requests of a bounded size."""

import base64
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from finetuned.client.effects import Call, Do, Feed, Item, Op
from finetuned.client.options import PredictOptions
from finetuned.client.records import Prediction
from finetuned.client.requests import given, read, ref

_MOST_INPUTS: Final = 256
_MOST_CHARACTERS: Final = 2**24
_PNG_MODES: Final = frozenset({"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"})


class Picture(Protocol):
    """An image of Pillow."""

    @property
    def mode(self) -> str:
        """Its kind of pixels."""

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:  # noqa: A002 - Pillow's name
        """Write it."""

    def getexif(self) -> Any:
        """How it is to be turned, among others."""


Input = str | bytes | Path | Picture
"""A text; or an image by its bytes, its path, or as Pillow opened it."""


def predict(model: Any, inputs: Input | Iterable[Input], parameters: PredictOptions) -> Op[list[Prediction]]:
    """One prediction an input, in order, over as many requests as it takes."""
    found: list[Prediction] = []
    left = _several(inputs)
    while batch := (yield Do(lambda: _batch(left))):
        found += yield from _answer(model, batch, parameters)
    return found


def predict_each(model: Any, inputs: Iterable[Input], parameters: PredictOptions) -> Feed[Prediction]:
    """The same, each as soon as its request is answered: of the inputs no more is in memory than a request holds."""
    left = _several(inputs)
    while batch := (yield Do(lambda: _batch(left))):
        for prediction in (yield from _answer(model, batch, parameters)):
            yield Item(prediction)


def _several(inputs: Input | Iterable[Input]) -> Iterator[Input]:
    alone = isinstance(inputs, str | bytes | Path) or hasattr(inputs, "getexif")
    return iter([inputs] if alone else inputs)  # type: ignore[list-item, arg-type]


def _batch(inputs: Iterator[Input]) -> list[str]:
    """The inputs of the next request; none after the last."""
    batch: list[str] = []
    characters = 0
    while len(batch) < _MOST_INPUTS and characters < _MOST_CHARACTERS:
        item = next(inputs, None)
        if item is None:
            break
        batch.append(_encoded(item))
        characters += len(batch[-1])
    return batch


def _answer(model: Any, inputs: list[str], parameters: PredictOptions) -> Op[list[Prediction]]:
    body = {"model": ref(model), "inputs": inputs, "parameters": given(**parameters)}
    answer = yield from read(Call("POST", "/predict", json=body, repeatable=True))
    return [Prediction.of(prediction) for prediction in answer["predictions"]]


def _encoded(item: Input) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, bytes):
        return base64.b64encode(item).decode("ascii")
    return _encoded(item.read_bytes() if isinstance(item, Path) else _saved(item))


def _saved(picture: Picture) -> bytes:
    """The pixels without loss, with the note on how the camera was held, which training reads as well."""
    file = io.BytesIO()
    picture.save(file, "PNG" if picture.mode in _PNG_MODES else "TIFF", exif=picture.getexif())
    return file.getvalue()
