"""The OpenAPI document: FastAPI's own, and what FastAPI does not know of the answers: headers, and ways to go on."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app import errors
from app.huggingface.schemas import InferenceRequest
from app.links import LINKS
from app.openinference.requests import HEAD_LENGTH
from app.openinference.schemas import InferRequest
from app.predictions.schemas import Parameters

Json = dict[str, Any]
_ABOUT: Final = (
    "Fine-tune pretrained backbones on your own data and serve the result. "
    "Every error is `application/problem+json` with a stable `code`; every answer carries `X-Request-ID`. "
    "A method that an address does not have gives 405 with `Allow`."
)
_BESIDES: Final[tuple[type[BaseModel], ...]] = (errors.Problem, Parameters, InferRequest, InferenceRequest)
"""Models that are read by hand."""
_LOCATED: Final = frozenset({"create_dataset", "create_job", "retry_job", "evaluate", "create_checkpoint"})
_INFERRING: Final = frozenset({"infer", "infer_version"})
_NO_NUL: Final = r"^[^\u0000]*$"
_HEADERS: Final[Json] = {
    "X-Request-ID": {
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "description": "The request's own where it has a sane one; logs name it.",
    },
    "Location": {
        "required": True,
        "schema": {"type": "string", "pattern": "^/[a-z]+/[a-z]+_[0-9a-z]+$"},
        "description": "Address of what was made.",
    },
    "Preference-Applied": {
        "schema": {"type": "string", "pattern": "^wait=[0-9]+$"},
        "description": "How `Prefer` was understood (RFC 7240).",
    },
    HEAD_LENGTH: {
        "schema": {"type": "integer", "minimum": 1},
        "description": "Where the JSON ends, if the bytes of tensors follow it.",
    },
    "WWW-Authenticate": {
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer "},
        "description": "RFC 6750.",
    },
    "Retry-After": {
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "description": "Seconds after which it may work.",
    },
}
_OF_REFUSALS: Final = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}


def operation_id(route: APIRoute) -> str:
    """An operation is called as its function is: links and generated clients name it."""
    return route.name


def describe(app: FastAPI) -> Json:
    """The document, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _made(app)
    return app.openapi_schema


def _made(app: FastAPI) -> Json:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes, description=_ABOUT)
    schemas = document["components"]["schemas"]
    for model in _BESIDES:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    document["components"]["headers"] = _HEADERS
    for operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] in {"path", "query"}:
                _refuse_nul(parameter["schema"])
        for status, response in operation["responses"].items():
            names = _headers(operation, status, response)
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            if links := LINKS.get((operation["operationId"], status)):
                response["links"] = links
    return document


def _refuse_nul(schema: Json) -> None:
    """Say of texts in an address what the guard holds them to."""
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "const"}:
        schema["pattern"] = _NO_NUL
    parts = [*schema.get("anyOf", ()), schema.get("items")]
    for part in filter(None, parts):
        _refuse_nul(part)


def _operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from path.values()


def _headers(operation: Json, status: str, response: Json) -> Iterator[str]:
    yield "X-Request-ID"
    if errors.MEDIA_TYPE in response.get("content", {}):
        if status in _OF_REFUSALS:
            yield _OF_REFUSALS[status]
        return
    if status in {"201", "202"} and operation["operationId"] in _LOCATED:
        yield "Location"
    if status == "200" and operation["operationId"] in _INFERRING:
        yield HEAD_LENGTH
    if any(parameter["name"] == "prefer" for parameter in operation.get("parameters", ())):
        yield "Preference-Applied"
