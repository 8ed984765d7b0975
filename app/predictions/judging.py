"""What a model makes of some inputs: the one way there, whatever protocol they came by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy

from app.deps import Services
from app.predictions import inputs
from app.predictions.batching import MAX_BATCH
from app.predictions.inputs import Input
from app.predictions.predicting import Leaving, Way
from app.predictions.stepping import LONG, Steps
from models_store import registry
from models_store.aliases import Meant
from models_store.database.engine import Database
from models_store.errors import FinetunedError, InvalidError
from models_store.pixels import Array

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Judgement, Predictor, Result

_SHORT: Final = 4_000
"""Characters: to cut them into tokens takes some milliseconds."""
_SMALL: Final = 20_000
"""Scores: to sort and write them takes some milliseconds."""
Find = Callable[[Database], Meant]
Given = Sequence[Input] | Array
"""Texts, or bytes of files; or pixels [N, 3, height, width] float32."""


@dataclass(frozen=True)
class Found:
    """The model that was meant, and what it makes of each input, in order; a bad input fails alone."""

    meant: Meant
    predictor: "Predictor"
    results: "Sequence[Result]"


def judge(services: Services, find: Find, given: Given, leaving: Leaving) -> Steps[Found]:
    """Ask the model that ``find`` finds about some inputs.

    Raises:
        CancelledError: the client has left.
        NotFoundError, ConflictError: as ``find``; also when the model was deleted while it was being loaded.
        FinetunedError: the model cannot be loaded.
    """
    meant = find(services.database)  # every time: an alias may have moved, through any replica
    predictor = services.pool.ready(meant.id)
    services.telemetry.observe_lookup(in_memory=predictor is not None)
    quick = predictor is not None and meant.reads_text and _little(given)
    if not quick:
        yield LONG
    predictor = predictor or _loaded(services, meant)
    if isinstance(given, numpy.ndarray):
        results = yield from services.predicting.judge(predictor, [*given], predictor.accept, leaving)
    else:
        contents = [_content(one, text=meant.reads_text) for one in given]
        good = [content for content in contents if isinstance(content, bytes)]
        way: Way = "quickly" if quick else "shared" if meant.reads_text else "gently"
        judged = iter((yield from services.predicting.judge(predictor, good, predictor.prepare, leaving, way=way)))
        results = [next(judged) if isinstance(content, bytes) else content for content in contents]
    failed = sum(isinstance(result, FinetunedError) for result in results)
    services.telemetry.observe_predictions(len(results) - failed, failed)
    if len(results) * len(predictor.labels) > _SMALL:
        yield LONG
    return Found(meant, predictor, results)


def _loaded(services: Services, meant: Meant) -> "Predictor":
    try:
        return services.pool.get(meant.id)
    except OSError:
        registry.confirm(services.database, meant.id)  # its files may be gone because it was deleted: that is a 404
        raise


def _little(given: Given) -> bool:
    """Whether these, if they are texts, are prepared in some milliseconds."""
    return len(given) <= MAX_BATCH and sum(len(one) for one in given) <= _SHORT


def all_judged(found: Found, name: str) -> "Sequence[Judgement]":
    """What the model makes of each input, for protocols that have no error for one input alone.

    Raises:
        InvalidError: an input is bad, with its own code; the message calls it by ``name`` and its place.
    """
    judgements: list[Judgement] = []
    for place, result in enumerate(found.results):
        if isinstance(result, FinetunedError):
            where = f"{name}[{place}]"
            raise InvalidError(result.code, f"{where}: {result.message}", param=where) from result
        judgements.append(result)
    return judgements


def _content(given: Input, *, text: bool) -> bytes | InvalidError:
    try:
        return inputs.content(given, text=text)
    except InvalidError as error:
        return error
