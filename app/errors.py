"""Every refusal as RFC 9457 ``application/problem+json``: the one place where domain errors get HTTP numbers."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from models_store.errors import FinetunedError, Kind, TooManyError

MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final[Mapping[Kind, int]] = {
    Kind.INVALID: 422,
    Kind.UNAUTHORIZED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_EXTRA_HEADERS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="finetuned"'},
    Kind.UNAVAILABLE: {"Retry-After": "5"},
}
_FRAMEWORK_CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("malformed_body", "The body could not be parsed. Send JSON or a form as the API's description says."),
    404: ("not_found", "There is nothing at this address. See GET /openapi.json for what there is."),
    405: ("method_not_allowed", "This address does not take that method. See the Allow header for what it takes."),
    415: ("unsupported_media_type", "A body of this content type is not understood. Send JSON, a form or image/*."),
}
_PROTOCOLS: Final = re.compile(r"/(v2|hf)(/|$)")
"""Addresses of protocols whose clients look for the reason in ``error``; RFC 9457 allows further members."""
_MOST_ERRORS: Final = 100
_LONGEST_NAME: Final = 200


class FieldProblem(BaseModel):
    """One field that is wrong."""

    loc: list[str | int] = Field(description="Path to the field.", examples=[["body", "training", "max_epochs"]])
    msg: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """The form of every error (RFC 9457)."""

    type: str = Field(examples=["/errors/job_not_found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no job 'job_1'. List yours with GET /jobs."])
    code: str = Field(description="Stable; branch on this.", examples=["job_not_found"])
    request_id: str = Field(examples=["0f3c5e0a9b7d4d1c8f6e2a1b3c4d5e6f"])
    param: str | None = Field(None, description="The field that is to blame, where there is one.")
    errors: list[FieldProblem] | None = Field(None, description="Only for validation errors: the first 100.")
    error: str | None = Field(
        None, description="Under `/v2` and `/hf` alone: `detail` again, where clients of these protocols look for it."
    )


def responses(*statuses: int, needs_key: bool = True) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the errors that a route may answer with, besides those of every route."""
    always = (400, 401, 408, 413, 422, 429, 500, 503) if needs_key else (400, 413, 422, 500)
    return {status: _documented(status) for status in sorted({*always, *statuses})}


def _documented(status: int) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": reference}}}


def request_id(scope: Mapping[str, Any]) -> str:
    """The id that the guard gave to a request."""
    return str(scope.get("state", {}).get("request_id", ""))


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    param: str | None = None,
    errors: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build the answer. Characters that UTF-8 cannot carry, such as lone surrogates, are replaced."""
    content: dict[str, Any] = {
        "type": f"/errors/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    content |= {name: value for name, value in (("param", param), ("errors", errors)) if value is not None}
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def refusal(error: FinetunedError, *, request_id: str) -> Response:
    """A domain error as an answer."""
    return problem(
        STATUS[error.kind],
        error.code,
        error.message,
        request_id=request_id,
        param=error.param,
        headers=_extra_headers(error),
    )


def _extra_headers(error: FinetunedError) -> Mapping[str, str] | None:
    if isinstance(error, TooManyError):
        return {"Retry-After": str(error.retry_after)}
    return _EXTRA_HEADERS.get(error.kind)


def spoken(answer: Response, scope: Mapping[str, Any]) -> Response:
    """The same refusal as the protocol of this address has it."""
    if _PROTOCOLS.match(scope.get("path", "")):
        content = json.loads(bytes(answer.body))
        answer.body = json.dumps({**content, "error": content["detail"]}, ensure_ascii=False).encode()
        answer.headers["Content-Length"] = str(len(answer.body))
    return answer


def internal(*, request_id: str) -> Response:
    """The answer to a fault of ours; it tells nothing of the inside."""
    detail = "Something went wrong here. Tell the operator the request id, under which the reason is logged."
    return problem(500, "internal_error", detail, request_id=request_id)


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """Validate what FastAPI does not read itself; ``where`` is ``body`` or ``query``.

    Raises:
        RequestValidationError: as FastAPI raises for what it reads.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [{**item, "loc": (where, *item["loc"])} for item in error.errors(include_url=False)]
        raise RequestValidationError(found) from error


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Let the application answer every error in this form."""
    routes = [route for router in routers for route in router.routes if isinstance(route, Route)]
    app.add_exception_handler(FinetunedError, _handler(_on_domain_error))
    app.add_exception_handler(RequestValidationError, _handler(_on_validation_error))
    app.add_exception_handler(HTTPException, _handler(partial(_on_framework_error, routes)))


def _handler(handle: Callable[[Request, Exception], Response]) -> Callable[[Request, Exception], Response]:
    return lambda request, error: spoken(handle(request, error), request.scope)


def _on_domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FinetunedError)  # noqa: S101 - Starlette dispatches by type
    return refusal(error, request_id=request_id(request.scope))


def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - Starlette dispatches by type
    found = [{"loc": _place(item["loc"]), "msg": _said(item)} for item in error.errors()[:_MOST_ERRORS]]
    mine = request_id(request.scope)
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return problem(400, "malformed_json", "The body is not JSON. Send valid JSON.", request_id=mine, errors=found)
    where = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in found[:3])
    return problem(422, "validation_error", f"{where}. Correct the fields in `errors`.", request_id=mine, errors=found)


def _place(loc: Iterable[str | int]) -> list[str | int]:
    """Names of unknown fields are the client's: an answer need not give them back at any length."""
    return [part[:_LONGEST_NAME] if isinstance(part, str) else part for part in loc]


def _said(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "There is no such field. Leave it out, or correct its name."
    return str(item["msg"])


def _on_framework_error(routes: Sequence[Route], request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette dispatches by type
    code, detail = _FRAMEWORK_CODES.get(error.status_code, ("request_refused", str(error.detail)))
    headers = (
        {"Allow": _methods(routes, request)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else error.headers
    )
    return problem(error.status_code, code, detail, request_id=request_id(request.scope), headers=headers)


def _methods(routes: Sequence[Route], request: Request) -> str:
    """Every method of this address: Starlette names only those of the first route that has it."""
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    same = [route.methods or set() for route in here if route.path_format == here[0].path_format]
    return ", ".join(sorted(set().union(*same)))
