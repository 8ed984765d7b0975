"""``/v2/models/{name}/infer``: predictions by the Open Inference Protocol."""

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from app.deps import CallerDep, Services, ServicesDep
from app.errors import responses
from app.models.refs import NamePath, VersionPath
from app.openinference import answering
from app.openinference.answering import Address
from app.openinference.requests import BINARY_TYPE, HEAD_LENGTH, Sent
from app.openinference.schemas import InferRequest, InferResponse
from app.predictions import bodies, turns

router = APIRouter(prefix="/v2/models", tags=["open inference protocol"])
_REQUEST: Final = f"#/components/schemas/{InferRequest.__name__}"
_BYTES: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}


def _described() -> dict[str, Any]:
    """The body, which is read by hand, because tensors may follow its JSON."""
    head: dict[str, Any] = {
        "name": HEAD_LENGTH,
        "in": "header",
        "required": False,
        "schema": {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**40},
        "description": "Where the JSON ends, in a body that goes on with the bytes of tensors.",
    }
    content = {"application/json": {"schema": {"$ref": _REQUEST}}, BINARY_TYPE: _BYTES}
    return {"requestBody": {"required": True, "content": content}, "parameters": [head]}


_ROUTE: Final[dict[str, Any]] = {
    "response_model": InferResponse,
    "response_model_exclude_none": True,
    "openapi_extra": _described(),
    "responses": {**responses(404, 409), 200: {"description": "OK", "content": {BINARY_TYPE: _BYTES}}},
}


@router.post("/{ref:model}/infer", **_ROUTE)
async def infer(ref: NamePath, request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Classify texts or images by the Open Inference Protocol, in JSON or with its binary-data extension.

    A bad item fails the whole request: the protocol has no error for an item alone, as `POST /predict` has.
    """
    return await _infer(request, services, Address(ref, None, caller))


@router.post("/{ref:model}/versions/{version}/infer", **_ROUTE)
async def infer_version(
    ref: NamePath, version: VersionPath, request: Request, services: ServicesDep, caller: CallerDep
) -> Response:
    """As `POST /v2/models/{ref}/infer`, by this version of the model."""
    return await _infer(request, services, Address(ref, version, caller))


async def _infer(request: Request, services: Services, address: Address) -> Response:
    owner = address.caller.owner
    with services.pool.place(owner):
        sent = Sent(await request.body(), bodies.media_type(request), request.headers.get(HEAD_LENGTH))
        work = partial(answering.answer, services, address, sent)
        return await turns.take(request, services, owner, work)
