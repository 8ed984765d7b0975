"""From the bytes of items to answers, one an item, in order; a bad item fails alone."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from models_store.bundle import StoredModel
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
    """A loaded model; safe to call from several threads.

    ``predict`` does it all; who batches items of several requests does the same in three steps: ``prepare``, the
    engine's features of what was prepared and collated, ``answers``.
    """

    def __init__(self, model: StoredModel, engine: Engine) -> None:
        self.labels: list[str] = list(model.card["labels"])
        self.temperature = float(model.card.get("temperature", 1.0))
        self.preprocessing, self.engine = model.preprocessing, engine
        self._prepared_by = model.preprocessing.sha256()
        self._outliers = model.outliers
        self._weight, self._bias = model.weight, model.bias

    @property
    def nbytes(self) -> int:
        """About how much memory it holds beside its engine and its preprocessing, which models share."""
        return self._weight.nbytes + self._bias.nbytes + (self._outliers.nbytes if self._outliers else 0)

    @property
    def key(self) -> Hashable:
        """Equal for models whose prepared items may go through the engine together."""
        return self.engine, self._prepared_by

    def length(self, item: Prepared) -> int:
        """Tokens of a text; 1 for an image."""
        return int(item.diagnostics.get("tokens", 1))

    def run(self, items: Sequence[Prepared]) -> torch.Tensor:
        """Features [N, width] of at least one item."""
        return self.engine.features(self.preprocessing.collate(items))

    def prepare(self, contents: Sequence[bytes]) -> list[Prepared | FinetunedError]:
        """What became of each item."""
        return self.preprocessing.prepare(contents)

    def features(self, contents: Sequence[bytes]) -> tuple[torch.Tensor, list[Prepared | FinetunedError]]:
        """Features [M, width] of the M items that could be prepared, and what became of each item."""
        prepared = self.prepare(contents)
        good = [item for item in prepared if isinstance(item, Prepared)]
        if not good:
            return torch.empty(0, self._weight.shape[1]), prepared
        return self.run(good), prepared

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] float32 of features [N, width]."""
        return torch.nn.functional.linear(features, self._weight, self._bias)

    def logits(self, contents: Sequence[bytes], batch_size: int = 32) -> list[Logits | FinetunedError]:
        """One result an item. At most ``batch_size`` items are held as tensors at once."""
        results: list[Logits | FinetunedError] = []
        for start in range(0, len(contents), batch_size):
            results += self._results(*self.features(contents[start : start + batch_size]))
        return results

    def predict(self, contents: Sequence[bytes], *, top_k: int = 5, with_logits: bool = False) -> list[dict[str, Any]]:
        """One prediction an item, in the form that ``POST /predict`` answers with."""
        return [self._prediction(result, top_k, with_logits) for result in self.logits(contents)]

    def answers(
        self,
        rows: Sequence[torch.Tensor],
        prepared: Sequence[Prepared | FinetunedError],
        *,
        top_k: int,
        with_logits: bool,
    ) -> list[dict[str, Any]]:
        """As ``predict``, of M features [width] of the M items that could be prepared."""
        features = torch.stack([*rows]) if rows else torch.empty(0, self._weight.shape[1])
        return [self._prediction(result, top_k, with_logits) for result in self._results(features, prepared)]

    def _results(
        self, features: torch.Tensor, prepared: Sequence[Prepared | FinetunedError]
    ) -> Iterator[Logits | FinetunedError]:
        with torch.inference_mode():
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
