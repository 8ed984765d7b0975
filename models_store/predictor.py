"""From the bytes of items to answers, one an item, in order; a bad item fails alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from models_store.bundle import Bundle
from models_store.engines.engine import Engine
from models_store.errors import FinetunedError
from models_store.preprocessing.protocol import Prepared

OUT_OF_DISTRIBUTION = "out_of_distribution"
"""The diagnostic that says how far an item is from the training data; see :mod:`models_store.outliers`."""


@dataclass(frozen=True)
class Logits:
    """``values`` [classes] float32 in the order of the labels, and the diagnostics of the item."""

    values: torch.Tensor
    diagnostics: dict[str, Any]


class Predictor:
    """A loaded model; safe to call from several threads."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.labels: list[str] = list(bundle.card["labels"])
        self.temperature = float(bundle.card.get("temperature", 1.0))
        self._preprocessing = bundle.preprocessing
        self._outliers = bundle.outliers
        self._engine = engine
        self._weight, self._bias = (
            tensor.detach().cpu() for tensor in (bundle.network.head.weight, bundle.network.head.bias)
        )

    def features(self, contents: Sequence[bytes]) -> tuple[torch.Tensor, list[Prepared | FinetunedError]]:
        """Features [M, width] of the M items that could be prepared, and what became of each item."""
        prepared = self._preprocessing.prepare(contents)
        good = [item for item in prepared if isinstance(item, Prepared)]
        if not good:
            return torch.empty(0, self._weight.shape[1]), prepared
        return self._engine.features(self._preprocessing.collate(good)), prepared

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] float32 of features [N, width]."""
        return torch.nn.functional.linear(features, self._weight, self._bias)

    def logits(self, contents: Sequence[bytes], batch_size: int = 32) -> list[Logits | FinetunedError]:
        """One result an item. At most ``batch_size`` items are held as tensors at once."""
        results: list[Logits | FinetunedError] = []
        for start in range(0, len(contents), batch_size):
            results += self._batch(contents[start : start + batch_size])
        return results

    def predict(self, contents: Sequence[bytes], *, top_k: int = 5, with_logits: bool = False) -> list[dict[str, Any]]:
        """One prediction an item, in the form that ``POST /predict`` answers with."""
        return [self._prediction(result, top_k, with_logits) for result in self.logits(contents)]

    def _batch(self, contents: Sequence[bytes]) -> Iterator[Logits | FinetunedError]:
        features, prepared = self.features(contents)
        rows = iter(zip(self.head(features), self._outlying(features), strict=True))
        for item in prepared:
            if isinstance(item, FinetunedError):
                yield item
            else:
                values, outlying = next(rows)
                yield Logits(values, {**item.diagnostics, **outlying})

    def _outlying(self, features: torch.Tensor) -> list[dict[str, float]]:
        if self._outliers is None:
            return [{} for _ in features]
        return [{OUT_OF_DISTRIBUTION: share} for share in self._outliers.share_closer(features).tolist()]

    def _prediction(self, result: Logits | FinetunedError, top_k: int, with_logits: bool) -> dict[str, Any]:
        if isinstance(result, FinetunedError):
            return {"error": result.as_json()}
        scores = self._scores(result.values)[:top_k]
        answer = {**scores[0], "scores": scores, "diagnostics": result.diagnostics}
        return {**answer, "logits": result.values.tolist()} if with_logits else answer

    def _scores(self, logits: torch.Tensor) -> list[dict[str, Any]]:
        """Labels with their calibrated probabilities, best first; equals stay in the order of the labels."""
        probabilities = torch.softmax(logits.double() / self.temperature, dim=0).tolist()
        ranked = sorted(zip(self.labels, probabilities, strict=True), key=lambda pair: -pair[1])
        return [{"label": label, "score": score} for label, score in ranked]
