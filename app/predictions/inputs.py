"""From the three forms of a prediction request to one: a model, and for every input its bytes or its own error."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.errors import validated
from app.predictions import bodies
from app.predictions.schemas import MAX_INPUT_CHARACTERS, Parameters, PredictAddress, PredictForm, PredictRequest
from models_store.errors import InvalidError, TooLargeError

Input = str | bytes
MAX_TEXT: Final = 1_000_000
"""Characters, or bytes of a file. No model reads so many, but the whole text is cut into tokens first."""
_DATA_URL: Final = re.compile(r"data:[\w.+/-]{0,100}(;[\w.=+-]{0,100}){0,5};base64,", re.IGNORECASE)
_MOST_FIELDS: Final = 100
_WHITESPACE: Final = str.maketrans("", "", " \t\r\n")


@dataclass(frozen=True)
class Asked:
    """A prediction request, whichever way it came. Inputs are texts as sent, or the bytes of files."""

    model: str
    inputs: Sequence[Input]
    parameters: Parameters


async def read(request: Request, max_inputs: int) -> Asked:
    """Read the request's body by its content type.

    Raises:
        InvalidError, TooLargeError, RequestValidationError: the body is wrong.
        HTTPException: 415, or 400 where it is no JSON.
    """
    kind = bodies.media_type(request)
    validated(PredictAddress, dict(request.query_params), "query")
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        body = await request.body()
        await bodies.check(body, max_inputs)
        return _from_json(parsed(body), max_inputs)
    if kind == "multipart/form-data":
        return await _from_form(request, max_inputs)
    if kind.startswith("image/"):
        form = validated(PredictForm, dict(request.query_params), "query")
        return Asked(form.model, [await request.body()], form)
    raise HTTPException(415)


def content(given: Input, *, text: bool) -> bytes:
    """The bytes that the model reads.

    Raises:
        InvalidError: ``invalid_text``, ``invalid_base64`` or ``text_too_long``; this input alone is wrong.
    """
    if text and len(given) > MAX_TEXT:
        raise InvalidError(
            "text_too_long", f"The text is longer than {MAX_TEXT:,}. Cut it: a model reads its beginning."
        )
    if isinstance(given, bytes):
        return given
    return _utf8(given) if text else _from_base64(given)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidError(
            "invalid_text", "The text has lone surrogates, which are no characters. Send valid Unicode."
        ) from error


def _from_base64(text: str) -> bytes:
    found = _DATA_URL.match(text)
    try:
        return base64.b64decode(text[found.end() if found else 0 :].translate(_WHITESPACE), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidError("invalid_base64", "The image is not valid base64. Encode its bytes as base64.") from error


def parsed(body: bytes) -> Any:
    """JSON.

    Raises:
        HTTPException: 400, it is none.
    """
    try:
        return json.loads(body, object_pairs_hook=_small)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400) from error


def _small(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Of a million unknown fields each would get an error of its own, which takes seconds."""
    if len(pairs) > _MOST_FIELDS:
        raise ValueError("an object has too many fields")
    return dict(pairs)


def _from_json(body: Any, max_inputs: int) -> Asked:
    wanted = validated(PredictRequest, body, "body")
    return Asked(wanted.model, strings(wanted.inputs, max_inputs), wanted.parameters)


def strings(given: Any, most: int) -> Sequence[Input]:
    """The field ``inputs``: one text, or a list of them.

    Raises:
        RequestValidationError, TooLargeError: it is something else, or has too many.
    """
    found = given if isinstance(given, list) else [given]
    check_count(len(found), ("body", "inputs"), most)
    for place, value in enumerate(found):
        if not isinstance(value, str):
            raise _wrong(("body", "inputs", place), "Input should be a valid string")
        if len(value) > MAX_INPUT_CHARACTERS:
            raise _wrong(("body", "inputs", place), f"String should have at most {MAX_INPUT_CHARACTERS} characters")
    return found


async def _from_form(request: Request, max_inputs: int) -> Asked:
    try:
        async with request.form(max_files=max_inputs, max_fields=10) as form:
            fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            files = [(name, await value.read()) for name, value in form.multi_items() if isinstance(value, UploadFile)]
    except HTTPException as error:
        raise _form_error(str(error.detail)) from error
    wanted = validated(PredictForm, fields, "body")
    for name, _ in files:
        if name != "file":
            raise _wrong(("body", name), "Send files in the field `file`")
    check_count(len(files), ("body", "file"), max_inputs)
    return Asked(wanted.model, [data for _, data in files], wanted)


def _form_error(detail: str) -> InvalidError | TooLargeError:
    if detail.startswith("Too many"):
        return TooLargeError("too_many_parts", f"{detail} Send fewer in one request.")
    return InvalidError("malformed_multipart", "The multipart body is broken or incomplete. Send it again.")


def check_count(count: int, loc: tuple[str | int, ...], most: int) -> None:
    """Refuse a request of no inputs, or of too many.

    Raises:
        RequestValidationError, TooLargeError: ``too_many_inputs``.
    """
    if not count:
        raise _wrong(loc, "There should be at least one input")
    if count > most:
        raise TooLargeError("too_many_inputs", f"There are more than {most} inputs. Send fewer in one request.")


def _wrong(loc: tuple[str | int, ...], message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": loc, "msg": message}])
