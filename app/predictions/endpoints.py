"""``/predict``."""

from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from app import forms
from app.deps import CallerDep, ServicesDep
from app.errors import responses
from app.predictions import answering, inputs, turns
from app.predictions.schemas import PredictForm, Predictions, PredictRequest

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
    with services.pool.place(caller.owner):
        asked = await inputs.read(request, services.settings.max_prediction_inputs)
        work = partial(answering.answer, services, caller, asked)
        model, predictions = await turns.take(request, services, caller.owner, work)
    return Response(to_json({"model": model, "predictions": predictions}), media_type="application/json")
