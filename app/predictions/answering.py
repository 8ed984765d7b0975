"""From what was asked to what ``POST /predict`` answers: bad inputs fail alone, the others are answered together."""

from typing import Any

from app.deps import Services
from app.predictions import judging
from app.predictions.inputs import Asked
from app.predictions.predicting import Leaving
from app.predictions.stepping import Steps
from models_store import abstaining, aliases
from models_store.keys import Caller

Prediction = dict[str, Any]


def answer(services: Services, caller: Caller, asked: Asked, leaving: Leaving) -> Steps[tuple[str, list[Prediction]]]:
    """The model's id, and one prediction an input, in order.

    Raises:
        CancelledError, FinetunedError: as :func:`app.predictions.judging.judge`.
    """
    wanted = asked.parameters
    found = yield from judging.judge(
        services, lambda database: aliases.meant(database, asked.model, caller=caller), asked.inputs, leaving
    )
    predictions = [
        found.predictor.answer(result, top_k=wanted.top_k, with_logits=wanted.logits) for result in found.results
    ]
    if wanted.abstain_below is not None:
        predictions = [abstaining.abstain(prediction, wanted.abstain_below) for prediction in predictions]
    return found.meant.id, predictions
