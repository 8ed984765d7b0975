import struct
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.openinference import tensors
from app.openinference.tensors import Tensor
from models_store.errors import InvalidError

SHAPE = [2, 3, 1, 2]


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_strings_come_back_from_their_bytes(values: list[str]) -> None:
    found = tensors.elements(memoryview(Tensor("label", values).as_bytes()), len(values))
    assert [one.decode() for one in found] == values


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=12, max_size=12))
def test_numbers_come_back_from_their_bytes_and_from_json(values: list[float]) -> None:
    tensor = Tensor("pixels", numpy.array(values, numpy.float32).reshape(SHAPE))
    assert (tensor.datatype, tensor.shape) == ("FP32", SHAPE)
    assert tensors.floats(memoryview(tensor.as_bytes()), SHAPE).tolist() == tensor.values.tolist()  # type: ignore[union-attr]
    assert tensors.numbers(tensor.as_json(), SHAPE).ravel().tolist() == values


def test_bytes_are_little_endian_and_each_string_stands_behind_its_length() -> None:
    assert Tensor("label", ["a", "né"]).as_bytes() == b"\x01\0\0\0a\x03\0\0\0n\xc3\xa9"
    assert Tensor("score", numpy.array([1.5], numpy.float32)).as_bytes() == struct.pack("<f", 1.5)


def test_numbers_may_be_nested_as_their_shape_says() -> None:
    nested = numpy.arange(12, dtype=numpy.float32).reshape(SHAPE)
    assert tensors.numbers(nested.tolist(), SHAPE).tolist() == nested.tolist()


@pytest.mark.parametrize(
    "data",
    [
        None,
        "x",
        {},
        ["1.0"] * 12,
        [1.0] * 11 + ["1.0"],
        [1.0] * 11 + [None],
        [1.0] * 11 + [[1.0]],
        [1.0] * 11 + [{}],
        [[[[[1.0]]]]] * 12,
        [10**400] * 12,
        [1.0] * 11,
        [],
    ],
)
def test_what_is_no_list_of_so_many_numbers_is_refused(data: Any) -> None:
    with pytest.raises(InvalidError) as refused:
        tensors.numbers(data, SHAPE)
    assert refused.value.code == "invalid_tensor"


@pytest.mark.parametrize("data", [None, "ab", {}, ["a", 1], ["a", None], ["a", ["b"]], ["a"], ["a", "b", "c"]])
def test_what_is_no_list_of_so_many_strings_is_refused(data: Any) -> None:
    with pytest.raises(InvalidError) as refused:
        tensors.strings(data, 2)
    assert refused.value.code == "invalid_tensor"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\0\0\0a",
        b"\x01\0\0\0a\x01\0\0",
        b"\x01\0\0\0a\x05\0\0\0b",
        b"\x01\0\0\0a\xff\xff\xff\xffb",
        b"\x01\0\0\0a\x01\0\0\0b\0\0\0\0",
    ],
)
def test_strings_that_are_cut_off_or_too_many_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidError) as refused:
        tensors.elements(memoryview(data), 2)
    assert refused.value.code == "invalid_tensor"


@pytest.mark.parametrize("size", [0, 47, 49, 52])
def test_numbers_of_another_size_than_their_shape_says_are_refused(size: int) -> None:
    with pytest.raises(InvalidError) as refused:
        tensors.floats(memoryview(bytes(size)), SHAPE)
    assert refused.value.code == "invalid_tensor"
