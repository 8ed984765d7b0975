"""The protocol's tensors: out of JSON or the bytes behind it, and back; little endian, row-major, without gaps."""

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any, Final

import numpy

from models_store.errors import InvalidError
from models_store.pixels import Array

_LENGTH: Final = struct.Struct("<I")
"""What stands before each element of BYTES."""
_FLOAT: Final = numpy.dtype("<f4")
_MOST_DIMENSIONS: Final = 4


@dataclass(frozen=True)
class Tensor:
    """An output: strings (BYTES) or numbers (FP32)."""

    name: str
    values: Sequence[str] | Array

    @property
    def datatype(self) -> str:
        """As the protocol calls it."""
        return "FP32" if isinstance(self.values, numpy.ndarray) else "BYTES"

    @property
    def shape(self) -> list[int]:
        """Lengths of its dimensions."""
        return [*self.values.shape] if isinstance(self.values, numpy.ndarray) else [len(self.values)]

    def as_json(self) -> list[str] | list[float]:
        """The elements, flat."""
        if isinstance(self.values, numpy.ndarray):
            flat: list[float] = self.values.ravel().tolist()
            return flat
        return [*self.values]

    def as_bytes(self) -> bytes:
        """The elements as the binary-data extension has them."""
        if isinstance(self.values, numpy.ndarray):
            return self.values.astype(_FLOAT).tobytes()
        elements = [value.encode("utf-8", "replace") for value in self.values]
        return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def strings(data: Any, count: int) -> list[str]:
    """BYTES out of JSON.

    Raises:
        InvalidError: ``invalid_tensor``.
    """
    if not isinstance(data, list) or not all(isinstance(one, str) for one in data):
        raise invalid("`data` of BYTES is a list of strings")
    _check(len(data), count)
    return data


def elements(data: memoryview, count: int) -> list[bytes]:
    """BYTES out of the bytes behind the JSON.

    Raises:
        InvalidError: ``invalid_tensor``.
    """
    found = [*_elements(data)]
    _check(len(found), count)
    return found


def numbers(data: Any, shape: Sequence[int]) -> Array:
    """FP32 out of JSON, flat or nested.

    Raises:
        InvalidError: ``invalid_tensor``.
    """
    try:
        given = numpy.frombuffer(array("d", _flat(data)), numpy.float64)
    except (TypeError, OverflowError) as error:
        raise invalid("`data` of FP32 is a list of numbers, flat or as its shape says") from error
    _check(given.size, prod(shape))
    with numpy.errstate(over="ignore"):  # what becomes infinite is refused as such
        return given.astype(numpy.float32).reshape(shape)


def floats(data: memoryview, shape: Sequence[int]) -> Array:
    """FP32 out of the bytes behind the JSON.

    Raises:
        InvalidError: ``invalid_tensor``.
    """
    if len(data) % _FLOAT.itemsize:
        raise invalid("FP32 has four bytes an element")
    _check(len(data) // _FLOAT.itemsize, prod(shape))
    return numpy.frombuffer(data, _FLOAT).astype(numpy.float32, copy=False).reshape(shape)


def invalid(why: str) -> InvalidError:
    """The error for a tensor that is not what it says it is."""
    message = f"The tensor does not fit: {why}. Send it as the model's metadata says."
    return InvalidError("invalid_tensor", message, param="inputs")


def _flat(data: Any) -> list[Any]:
    """By hand: numpy would make room for as many texts of the longest one's length, and read numbers out of texts."""
    if not isinstance(data, list):
        raise TypeError
    flat: list[Any] = data
    for _ in range(_MOST_DIMENSIONS - 1):
        if flat and isinstance(flat[0], list):
            flat = [*chain.from_iterable(flat)]
    return flat


def _elements(data: memoryview) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        start = place + _LENGTH.size
        place = start + _LENGTH.unpack_from(data, place)[0] if start <= len(data) else len(data) + 1
        if place > len(data):
            raise invalid("a length of BYTES points behind the end")
        yield bytes(data[start:place])


def _check(found: int, wanted: int) -> None:
    if found != wanted:
        raise invalid(f"there are {found:,} elements, and the shape says {wanted:,}")
