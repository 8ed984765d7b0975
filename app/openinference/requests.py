"""From the body of an inference request, JSON or JSON with tensors behind it, to items and the outputs wanted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException

from app.errors import validated
from app.openinference import tensors
from app.openinference.schemas import InferRequest, InputName, InputTensor, OutputName
from app.predictions import bodies, inputs
from app.predictions.judging import Given

BINARY_TYPE: Final = "application/octet-stream"
HEAD_LENGTH: Final = "Inference-Header-Content-Length"
"""The header that says where the JSON ends and tensors begin."""
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_DEFAULT: Final[tuple[OutputName, ...]] = ("label", "score", "probabilities")
_DIMENSIONS: Final = {"BYTES": 1, "FP32": 4}
_MOST_VALUES: Final = 2_000_000
"""Of the JSON: pixels as numbers are many, and become objects. Binary tensors are not among them."""


@dataclass(frozen=True)
class Wanted:
    """An output, and whether it is to stand behind the JSON."""

    name: OutputName
    binary: bool


@dataclass(frozen=True)
class Asked:
    """An inference request, whichever way its tensor came."""

    id: str | None
    input: InputName
    given: Given
    outputs: Sequence[Wanted]


@dataclass(frozen=True)
class Sent:
    """The body as it came, with what its headers say of it."""

    body: bytes
    kind: str
    """Its content type."""
    head_length: str | None


def read(sent: Sent, most: int) -> Asked:
    """Read a request of at most ``most`` items.

    Raises:
        InvalidError, TooLargeError, RequestValidationError: the body is wrong.
        HTTPException: 400, it is no JSON, and does not say that it is anything else.
    """
    body = sent.body
    end = len(body) if sent.head_length is None else _end(sent.head_length, len(body))
    bodies.check_values(body[:end], _MOST_VALUES)
    wanted = validated(InferRequest, _head(sent, end), "body")
    (tensor,) = wanted.inputs
    given = _given(tensor, memoryview(body)[end:], most)
    return Asked(wanted.id, tensor.name, given, _outputs(wanted))


def _head(sent: Sent, end: int) -> Any:
    try:
        return inputs.parsed(sent.body[:end])
    except HTTPException:
        if sent.kind != BINARY_TYPE and sent.head_length is None:
            raise
        # Any bytes are a well-formed body then, so it is the content that is wrong, or the header; not the form.
        raise tensors.invalid(f"the first {end:,} bytes of the body are no JSON, or {HEAD_LENGTH} is wrong") from None


def _end(head_length: str, size: int) -> int:
    if _LENGTH.fullmatch(head_length) and int(head_length) <= size:
        return int(head_length)
    raise tensors.invalid(f"{HEAD_LENGTH} is {head_length[:20]!r}, and the body has {size:,} bytes")


def _given(tensor: InputTensor, behind: memoryview, most: int) -> Given:
    datatype = "FP32" if tensor.name == "pixels" else "BYTES"
    if tensor.datatype != datatype or len(tensor.shape) != _DIMENSIONS[datatype]:
        raise tensors.invalid(f"{tensor.name} has the datatype {datatype} and {_DIMENSIONS[datatype]} dimension(s)")
    count = tensor.shape[0]
    inputs.check_count(count, ("body", "inputs", 0, "shape"), most)
    size = tensor.parameters.binary_data_size
    if size is None and not behind:
        return _in_json(tensor, count)
    if size != len(behind) or tensor.data is not None:
        raise tensors.invalid(f"`binary_data_size` says {size}, and {len(behind):,} bytes follow the JSON")
    return tensors.elements(behind, count) if datatype == "BYTES" else tensors.floats(behind, tensor.shape)


def _in_json(tensor: InputTensor, count: int) -> Given:
    if tensor.datatype == "BYTES":
        return tensors.strings(tensor.data, count)
    return tensors.numbers(tensor.data, tensor.shape)


def _outputs(wanted: InferRequest) -> Sequence[Wanted]:
    usual = wanted.parameters.binary_data_output
    if not wanted.outputs:
        return [Wanted(name, usual) for name in _DEFAULT]
    binary = [(output.name, output.parameters.binary_data) for output in wanted.outputs]
    return [Wanted(name, usual if own is None else own) for name, own in binary]
