"""From a request in Hugging Face's form to its answer, by the same way as ``POST /predict``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from app.deps import Services
from app.errors import validated
from app.huggingface.schemas import InferenceParameters, InferenceRequest
from app.predictions import bodies, inputs, judging
from app.predictions.inputs import Input
from app.predictions.predicting import Leaving
from app.predictions.stepping import Steps
from models_store import aliases
from models_store.aliases import Meant
from models_store.database.engine import Database
from models_store.keys import Caller

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Judgement, Predictor

_TOP_K: Final = 5
Scores = list[dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """A request, whichever way it came."""

    inputs: Sequence[Input]
    alone: bool
    """One input, and not a list of one."""
    parameters: InferenceParameters


async def read(body: bytes, media_type: str, most: int) -> Asked:
    """Read a request: JSON, or a body that is the input itself, as clients send images without parameters.

    Raises:
        RequestValidationError, TooLargeError: the body is wrong.
        HTTPException: 400, it is no JSON.
    """
    if media_type != "application/json":
        return Asked([body], True, InferenceParameters())
    await bodies.check(body, most)
    wanted = validated(InferenceRequest, inputs.parsed(body), "body")
    given = inputs.strings(wanted.inputs, most)
    return Asked(given, not isinstance(wanted.inputs, list), wanted.parameters or InferenceParameters())


def answer(
    services: Services, caller: Caller, ref: str, asked: Asked, leaving: Leaving
) -> Steps[Scores | list[Scores]]:
    """Flat scores for a single image; for texts, and for a list of images, a list of scores for each input.

    There is no error for an input alone: a bad one fails the request.

    Raises:
        FinetunedError: as judging raises, or an input is bad.
        CancelledError: the client has left.
    """

    def find(database: Database) -> Meant:
        with database.read() as session:
            return aliases.versioned(session, ref, None, caller=caller)

    found = yield from judging.judge(services, find, asked.inputs, leaving)
    scores = [_scores(found.predictor, one, asked.parameters) for one in judging.all_judged(found, "inputs")]
    return scores[0] if asked.alone and not found.meant.reads_text else scores


def _scores(predictor: "Predictor", judgement: "Judgement", wanted: InferenceParameters) -> Scores:
    top_k = wanted.top_k or _TOP_K
    if wanted.function_to_apply != "none":
        scores: Scores = predictor.answer(judgement, top_k=top_k, with_logits=False)["scores"]
        return scores
    ranked = sorted(zip(predictor.labels, judgement.judged.logits.tolist(), strict=True), key=lambda pair: -pair[1])
    return [{"label": label, "score": logit} for label, logit in ranked[:top_k]]
