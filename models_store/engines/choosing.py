"""Which engine serves a model, in which precision."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import torch

from models_store.database.tables import Json
from models_store.engines import ENGINES, Engine, EngineUnavailableError, Precision

ServingPrecision = Literal["f32", "auto"]
"""``auto``: bfloat16 for models that it was measured to answer alike with; see :mod:`worker.training.parity`."""
_FALLBACK: Final[tuple[str, Precision]] = ("torch", "f32")

Open = Callable[[str, Precision], Engine]
"""By the name of an engine, and its precision."""


def candidates(card: Json, wanted: ServingPrecision) -> Iterator[tuple[str, Precision]]:
    """Engines and precisions that may serve the model of this card, the fastest first.

    A model is served by the engine that its parity certificate names, on a GPU by PyTorch; PyTorch in float32 is what
    every certificate was measured against.
    """
    certificate: dict[str, Any] = card.get("parity") or {}
    engine = certificate.get("engine", _FALLBACK[0])
    if engine in ENGINES and not torch.cuda.is_available():
        if wanted == "auto" and (certificate.get("bf16") or {}).get("passed"):
            yield engine, "bf16"
        yield engine, "f32"
    yield _FALLBACK


def open_first(open_engine: Open, card: Json, wanted: ServingPrecision) -> Engine:
    """The first of the candidates that runs here.

    Raises:
        UnavailableError: ``trunk_missing`` or ``trunk_damaged``.
    """
    for engine, precision in candidates(card, wanted):
        try:
            return open_engine(engine, precision)
        except EngineUnavailableError:
            continue
    raise AssertionError("PyTorch runs every trunk")


def open_for(store_dir: Path, card: Json, wanted: ServingPrecision = "f32") -> Engine:
    """An engine of the model's own, shared with nobody."""
    return open_first(lambda engine, precision: ENGINES[engine](store_dir, card["trunk"], precision), card, wanted)
