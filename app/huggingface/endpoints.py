"""``/hf/models/{name}``: predictions in the form of Hugging Face's inference services, for their clients."""

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from app.deps import CallerDep, ServicesDep
from app.errors import responses
from app.huggingface import answering
from app.huggingface.schemas import Answer, InferenceRequest
from app.models.refs import NamePath
from app.predictions import bodies, turns

router = APIRouter(prefix="/hf/models", tags=["hugging face"])


def _body() -> dict[str, Any]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    schema = {"$ref": f"#/components/schemas/{InferenceRequest.__name__}"}
    content = {"application/json": {"schema": schema}, "image/*": raw, "application/octet-stream": raw}
    return {"required": True, "content": content}


_BODY: Final = _body()


# The body is read by hand: it has two forms, and is read only when there is a place in the queue.
@router.post(
    "/{ref:model}",
    response_model=Answer,
    openapi_extra={"requestBody": _BODY},
    responses=responses(404, 409),
)
async def infer_like_hugging_face(
    ref: NamePath, request: Request, services: ServicesDep, caller: CallerDep
) -> Response:
    """Classify texts or images in the form that `huggingface_hub.InferenceClient` speaks.

    A single image gets a flat list of scores; texts, and lists of images, get a list of scores for each input. A bad
    input fails the whole request.
    """
    with services.pool.place(caller.owner):
        body = await request.body()
        asked = await answering.read(body, bodies.media_type(request), services.settings.max_prediction_inputs)
        work = partial(answering.answer, services, caller, ref, asked)
        scores = await turns.take(request, services, caller.owner, work)
    return Response(to_json(scores), media_type="application/json")
