"""From the bytes of items to answers, one an item, in order; a bad item fails alone."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from models_store import pixels
from models_store.bundle import StoredModel
from models_store.engines.engine import Engine
from models_store.errors import FinetunedError
from models_store.pixels import Array
from models_store.preprocessing.image import PIXELS
from models_store.preprocessing.protocol import Prepared

OUT_OF_DISTRIBUTION = "out_of_distribution"
"""The diagnostic that says how far an item is from the training data; see :mod:`models_store.outliers`."""


@dataclass(frozen=True)
class Judged:
    """What the model makes of one item.

    Args:
        logits: [classes] float32 in the order of the labels.
        probabilities: calibrated ones, in the order of the labels.
        outlying: how far the item is from the training data, in [0, 1]; ``None`` where the model does not tell.
    """

    logits: torch.Tensor
    probabilities: list[float]
    outlying: float | None


@dataclass(frozen=True)
class Judgement:
    """What the model makes of one item, and what its sender should know of the item itself."""

    judged: Judged
    diagnostics: dict[str, Any]


Result = Judgement | FinetunedError
"""What became of one item."""
_TOGETHER: Final = 32


class Predictor:
    """A loaded model; safe to call from several threads.

    ``predict`` does it all; who batches items of several requests does the same in steps: ``prepare`` (or ``accept``),
    ``run``, ``judge``, ``results``, ``answer``. Only the second is for models of one key together.
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

    @property
    def parallel(self) -> int:
        """Batches that may be run at once; see ``Engine.parallel``."""
        return self.engine.parallel

    def length(self, item: Prepared) -> int:
        """Tokens of a text; 1 for an image."""
        return int(item.diagnostics.get("tokens", 1))

    def run(self, items: Sequence[Prepared]) -> torch.Tensor:
        """Features [N, width] of at least one item."""
        return self.engine.features(self.preprocessing.collate(items))

    def prepare(self, contents: Sequence[bytes]) -> list[Prepared | FinetunedError]:
        """What became of each item."""
        return self.preprocessing.prepare(contents)

    def accept(self, arrays: Sequence[Array]) -> list[Prepared | FinetunedError]:
        """As ``prepare``, for pixels [3, height, width] float32 that the sender has preprocessed."""
        shape = pixels.shape(self.preprocessing.card())
        return [pixels.fault(array, shape) or Prepared({PIXELS: torch.tensor(array)}, {}) for array in arrays]

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

    def judge(self, features: torch.Tensor) -> list[Judged]:
        """From features [N, width] to what the model makes of each item."""
        with torch.inference_mode():
            logits = self.head(features)
            probabilities = torch.softmax(logits.double() / self.temperature, dim=1).tolist()
            outlying = self._outliers.share_closer(features).tolist() if self._outliers else [None] * len(features)
        return [Judged(*one) for one in zip(logits, probabilities, outlying, strict=True)]

    def judged(self, contents: Sequence[bytes], batch_size: int = 32) -> list[Judged | FinetunedError]:
        """One result an item. At most ``batch_size`` items are held as tensors at once."""
        results: list[Judged | FinetunedError] = []
        for start in range(0, len(contents), batch_size):
            features, prepared = self.features(contents[start : start + batch_size])
            judged = iter(self.judge(features))
            results += [next(judged) if isinstance(item, Prepared) else item for item in prepared]
        return results

    def predict(self, contents: Sequence[bytes], *, top_k: int = 5, with_logits: bool = False) -> list[dict[str, Any]]:
        """One prediction an item, in the form that ``POST /predict`` answers with."""
        answers: list[dict[str, Any]] = []
        for start in range(0, len(contents), _TOGETHER):
            features, prepared = self.features(contents[start : start + _TOGETHER])
            results = self.results(self.judge(features), prepared)
            answers += [self.answer(result, top_k=top_k, with_logits=with_logits) for result in results]
        return answers

    def results(self, judged: Sequence[Judged], prepared: Sequence[Prepared | FinetunedError]) -> Iterator[Result]:
        """What became of each item, of what was judged of those that could be prepared."""
        rows = iter(judged)
        for item in prepared:
            yield Judgement(next(rows), item.diagnostics) if isinstance(item, Prepared) else item

    def answer(self, result: Result, *, top_k: int, with_logits: bool) -> dict[str, Any]:
        """A result in the form that ``POST /predict`` answers with."""
        if isinstance(result, FinetunedError):
            return {"error": result.as_json()}
        return self._prediction(result.judged, result.diagnostics, top_k, with_logits)

    def _prediction(self, judged: Judged, told: dict[str, Any], top_k: int, with_logits: bool) -> dict[str, Any]:
        """Labels with their probabilities, best first; equals stay in the order of the labels."""
        ranked = sorted(zip(self.labels, judged.probabilities, strict=True), key=lambda pair: -pair[1])
        scores = [{"label": label, "score": score} for label, score in ranked[:top_k]]
        far = {} if judged.outlying is None else {OUT_OF_DISTRIBUTION: judged.outlying}
        answer = {**scores[0], "scores": scores, "diagnostics": {**told, **far}}
        return {**answer, "logits": judged.logits.tolist()} if with_logits else answer
