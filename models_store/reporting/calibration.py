"""Whether probabilities mean what they say: temperature scaling and the expected calibration error.

Guo et al. 2017, "On Calibration of Modern Neural Networks": one temperature divides all logits, chosen by the negative
log-likelihood of held-out items; the error is the mean gap between confidence and accuracy over 15 bins of equal width
(Naeini et al. 2015).
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from models_store.reporting.sampling import evenly_spaced

BINS: Final = 15
MIN_ITEMS: Final = 20
"""Fewer held-out items than these say too little: the temperature stays 1."""
LOWEST, HIGHEST = 0.05, 20.0
"""The bounds of a temperature."""
_FIT_VALUES: Final = 4_000_000
"""One number needs no more logits than these to be fitted; more items are sampled."""
_CHUNK_VALUES: Final = 2_000_000
_HALVINGS: Final = 40


@dataclass(frozen=True)
class Judged:
    """What logits say of each item, [N] each: the class (int64), its probability, and the loss (float64)."""

    predicted: Tensor
    confidence: Tensor
    losses: Tensor
    right: Tensor
    """Bool: the class is the labelled one."""


@dataclass(frozen=True)
class Calibration:
    """The temperature to serve with, and the one to judge each item with.

    ``held_out`` [N] float64 are temperatures that were fitted without the item: where the items that a temperature was
    fitted on are also those that it is judged by, its error looks smaller than it is. ``None``: it was not fitted.
    """

    temperature: float
    held_out: Tensor | None


_UNCHANGED: Final = Calibration(1.0, None)


def judge(logits: Tensor, labels: Tensor, temperature: float | Tensor = 1.0) -> Judged:
    """Classes, confidences and losses in float64; memory does not grow with the number of classes.

    Args:
        logits: float32 [N, classes]; may be memory-mapped.
        labels: int64 [N].
        temperature: one for all, or [N].
    """
    temperatures = torch.as_tensor(temperature, dtype=torch.float64).expand(len(labels))
    predicted, confidence, losses = [], [], []
    size = max(1, _CHUNK_VALUES // logits.shape[1])
    for start in range(0, len(labels), size):
        part = slice(start, start + size)
        log_probabilities = torch.log_softmax(logits[part].double() / temperatures[part, None], dim=1)
        best = log_probabilities.max(dim=1)
        predicted.append(best.indices)
        confidence.append(best.values.exp())
        losses.append(-log_probabilities.gather(1, labels[part, None])[:, 0])
    chosen = torch.cat(predicted)
    return Judged(chosen, torch.cat(confidence), torch.cat(losses), chosen == labels)


def calibrate(logits: Tensor, labels: Tensor) -> Calibration:
    """Fit a temperature, and judge it by two-fold cross-fitting: each half by what the other half gave.

    The temperature is 1 where there are fewer than ``MIN_ITEMS`` items, and where it does not help: where, judged so,
    it does not lower the negative log-likelihood, or raises the calibration error.
    """
    if len(labels) < MIN_ITEMS:
        return _UNCHANGED
    held_out = _cross_fitted(logits, labels)
    before, after = judge(logits, labels), judge(logits, labels, held_out)
    if after.losses.mean() >= before.losses.mean() or ece(reliability(after)) > ece(reliability(before)):
        return _UNCHANGED
    return Calibration(fit_temperature(logits, labels, torch.arange(len(labels))), held_out)


def fit_temperature(logits: Tensor, labels: Tensor, rows: Tensor) -> float:
    """The temperature of the least negative log-likelihood of some rows, between ``LOWEST`` and ``HIGHEST``.

    As in Platt 1999, 2.2, labels are trusted to ``1 - 1 / (N + 2)``: else a few items that are all told right would ask
    for certainty. The loss is convex in the inverse temperature, so halving an interval finds where its slope is zero.
    """
    trust = 1 - 1 / (len(rows) + 2)
    chosen = rows[evenly_spaced(len(rows), max(MIN_ITEMS, _FIT_VALUES // logits.shape[1]))]
    values, true = logits[chosen].double(), labels[chosen]
    of_label = values.gather(1, true[:, None])[:, 0]
    of_others = (values.sum(dim=1) - of_label) / (values.shape[1] - 1)
    wanted = trust * of_label + (1 - trust) * of_others
    low, high = math.log(1 / HIGHEST), math.log(1 / LOWEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = (torch.softmax(values * math.exp(middle), dim=1) * values).sum(dim=1)
        low, high = (low, middle) if (expected - wanted).mean() > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def reliability(judged: Judged) -> list[dict[str, Any]]:
    """``BINS`` bins of equal width over the confidence: ``from`` (exclusive), ``to``, ``count``, and the mean
    ``confidence`` and ``accuracy`` of its items, both ``None`` where it is empty."""
    places = ((judged.confidence * BINS).ceil().long() - 1).clamp(0, BINS - 1)
    counts = torch.bincount(places, minlength=BINS)
    confidence = torch.bincount(places, judged.confidence, BINS) / counts
    accuracy = torch.bincount(places, judged.right.double(), BINS) / counts
    return [
        {
            "from": place / BINS,
            "to": (place + 1) / BINS,
            "count": count,
            "confidence": float(confidence[place]) if count else None,
            "accuracy": float(accuracy[place]) if count else None,
        }
        for place, count in enumerate(counts.tolist())
    ]


def ece(bins: list[dict[str, Any]]) -> float:
    """The expected calibration error of what ``reliability`` gave: the mean gap, weighted by the items of each bin."""
    total = sum(entry["count"] for entry in bins)
    gaps = (entry["count"] * abs(entry["confidence"] - entry["accuracy"]) for entry in bins if entry["count"])
    return float(sum(gaps) / total)


def _cross_fitted(logits: Tensor, labels: Tensor) -> Tensor:
    """For each item the temperature of the half that it is not in; both halves have like shares of every class."""
    first = torch.zeros(len(labels), dtype=torch.bool)
    first[labels.argsort(stable=True)[::2]] = True
    temperatures = torch.empty(len(labels), dtype=torch.float64)
    for half in (first, ~first):
        temperatures[~half] = fit_temperature(logits, labels, half.nonzero().flatten())
    return temperatures
