"""``/predict``."""

import asyncio
from concurrent.futures import CancelledError
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from app.deps import CallerDep, ServicesDep
from app.errors import responses
from app.predictions import answering, inputs
from app.predictions.predicting import Leaving
from app.predictions.schemas import PredictForm, Predictions, PredictRequest

router = APIRouter(tags=["predictions"])


def _body() -> dict[str, Any]:
    form = PredictForm.model_json_schema()
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    multipart = {
        "type": "object",
        "required": ["model", "file"],
        "additionalProperties": False,
        "properties": {"file": files, **form["properties"]},
    }
    content = {
        "application/json": {"schema": PredictRequest.model_json_schema(ref_template="#/components/schemas/{model}")},
        "multipart/form-data": {"schema": multipart},
        "image/*": {"schema": {"type": "string", "format": "binary"}},
    }
    content["application/json"]["schema"].pop("$defs", None)
    return {"required": True, "content": content}


_RAW_PARAMETERS: Final = [
    {"name": name, "in": "query", "required": False, "schema": schema, "description": "Only with a raw image body."}
    for name, schema in PredictForm.model_json_schema()["properties"].items()
]


# The body is read by app.predictions.inputs: it has three forms, and is read only when there is a place in the queue.
@router.post(
    "/predict",
    response_model=Predictions,
    openapi_extra={"requestBody": _body(), "parameters": _RAW_PARAMETERS},
    responses=responses(404, 415),
)
async def predict(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Classify texts or images. A bad input fails alone: its prediction is an `error`, the answer is still 200."""
    with services.pool.place():
        asked = await inputs.read(request, services.settings.max_prediction_inputs)
        leaving = Leaving()
        watch = asyncio.create_task(_watch(request, leaving))
        try:
            model, predictions = await to_thread.run_sync(
                answering.answer, services, caller, asked, leaving, limiter=services.pool.threads
            )
        except CancelledError as error:
            raise ClientDisconnect from error
        finally:
            watch.cancel()
    return Response(to_json({"model": model, "predictions": predictions}), media_type="application/json")


async def _watch(request: Request, leaving: Leaving) -> None:
    """Say when the client is gone; its body has been read, so that nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    leaving.leave()
