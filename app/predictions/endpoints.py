"""``/predict``."""

import asyncio
from concurrent.futures import CancelledError
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from app import forms
from app.deps import CallerDep, Services, ServicesDep
from app.errors import responses
from app.predictions import answering, inputs
from app.predictions.inputs import Asked
from app.predictions.predicting import Leaving, Prediction
from app.predictions.schemas import PredictForm, Predictions, PredictRequest
from models_store.keys import Caller

router = APIRouter(tags=["predictions"])


def _body() -> dict[str, Any]:
    schema = PredictRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    content = {
        "application/json": {"schema": schema},
        "multipart/form-data": forms.described(PredictForm, "An image, or a text.", "bee.png", "image/png", many=True),
        "image/*": {"schema": {"type": "string", "format": "binary"}},
    }
    return {"required": True, "content": content}


_IN_ADDRESS: Final = forms.parameters(PredictForm, "For a raw image body; other bodies say it themselves.")


# The body is read by app.predictions.inputs: it has three forms, and is read only when there is a place in the queue.
@router.post(
    "/predict",
    response_model=Predictions,
    openapi_extra={"requestBody": _body(), "parameters": _IN_ADDRESS},
    responses=responses(404, 415),
)
async def predict(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Classify texts or images. A bad input fails alone: its prediction is an `error`, the answer is still 200."""
    with services.pool.place():
        asked = await inputs.read(request, services.settings.max_prediction_inputs)
        model, predictions = await answered(request, services, caller, asked)
    return Response(to_json({"model": model, "predictions": predictions}), media_type="application/json")


async def answered(request: Request, services: Services, caller: Caller, asked: Asked) -> tuple[str, list[Prediction]]:
    """The model's id, and what it says of each input. The caller has a place, and has read the request's body.

    Raises:
        ClientDisconnect: the client has left.
        FinetunedError: as :func:`app.predictions.answering.answer`.
    """
    leaving = Leaving()
    watch = asyncio.create_task(_watch(request, leaving))
    try:
        return await to_thread.run_sync(
            answering.answer, services, caller, asked, leaving, limiter=services.pool.threads
        )
    except CancelledError as error:
        raise ClientDisconnect from error
    finally:
        watch.cancel()


async def _watch(request: Request, leaving: Leaving) -> None:
    """Say when the client is gone; its body has been read, so that nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    leaving.leave()
