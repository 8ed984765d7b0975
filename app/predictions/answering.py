"""From what was asked to what the model says: bad inputs fail alone, the others are answered together."""

from collections.abc import Sequence

from app.deps import Services
from app.predictions import inputs
from app.predictions.inputs import Asked, Input
from app.predictions.predicting import Leaving, Prediction
from models_store import abstaining, aliases, registry
from models_store.errors import InvalidError
from models_store.keys import Caller


def answer(services: Services, caller: Caller, asked: Asked, leaving: Leaving) -> tuple[str, list[Prediction]]:
    """The model's id, and one prediction an input, in order.

    Raises:
        CancelledError: the client has left.
        NotFoundError: ``model_not_found`` or ``alias_not_found``; also when it was deleted while it was being loaded.
        ConflictError: ``ambiguous_name``.
        FinetunedError: the model cannot be loaded.
    """
    model_id, task = _model(services, caller, asked.model)
    contents = [_content(given, text=task == "text-classification") for given in asked.inputs]
    good = [content for content in contents if isinstance(content, bytes)]
    try:
        answers = iter(_predict(services, model_id, good, asked, leaving) if good else [])
    except OSError:
        registry.confirm(services.database, model_id)  # its files may be gone because it was deleted: that is a 404
        raise
    predictions = [
        next(answers) if isinstance(content, bytes) else {"error": content.as_json()} for content in contents
    ]
    failed = sum("error" in prediction for prediction in predictions)
    services.telemetry.observe_predictions(len(predictions) - failed, failed)
    return model_id, predictions


def _model(services: Services, caller: Caller, ref: str) -> tuple[str, str]:
    with services.database.read() as session:  # every time: an alias may have moved, through any replica
        return aliases.meant(session, ref, caller=caller)


def _content(given: Input, *, text: bool) -> bytes | InvalidError:
    try:
        return inputs.content(given, text=text)
    except InvalidError as error:
        return error


def _predict(
    services: Services, model_id: str, contents: Sequence[bytes], asked: Asked, leaving: Leaving
) -> list[Prediction]:
    wanted = asked.parameters
    predictions = services.predicting.predict(
        services.pool.get(model_id), contents, top_k=wanted.top_k, with_logits=wanted.logits, leaving=leaving
    )
    if wanted.abstain_below is None:
        return predictions
    return [abstaining.abstain(prediction, wanted.abstain_below) for prediction in predictions]
