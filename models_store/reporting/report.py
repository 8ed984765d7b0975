"""What a model's report and an evaluation's say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from models_store.itemset import Item
from models_store.reporting import classes
from models_store.reporting.calibration import BINS, Judged, ece, judge, reliability

MISTAKES: Final = 50
Json = dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """Items of a set and what a model made of them.

    Args:
        items: N items.
        logits: float32 [N, classes] as the model gives them, before any temperature; may be memory-mapped.
        labels: int64 [N], numbers of the model's labels.
    """

    items: Sequence[Item]
    logits: Tensor
    labels: Tensor

    def split(self, name: str) -> "Scored":
        """The items of one split, which stand together in a manifest."""
        rows = [row for row, item in enumerate(self.items) if item.split == name]
        part = slice(rows[0], rows[-1] + 1) if rows else slice(0)
        return Scored(self.items[part], self.logits[part], self.labels[part])


def figures(
    split: str, scored: Scored, names: Sequence[str], temperature: float, held_out: Tensor | None = None
) -> Json:
    """All figures of one part of a set.

    Args:
        split: what the part is called.
        names: the model's labels in order.
        temperature: what the model is served with.
        held_out: float64 [N], where the temperature was fitted on these very items: for each item one that was not.
    """
    before = judge(scored.logits, scored.labels)
    after = judge(scored.logits, scored.labels, temperature if held_out is None else held_out)
    counts = classes.count(scored.labels, before.predicted, len(names))
    return {
        "split": split,
        "items": len(scored.items),
        "accuracy": float(before.right.double().mean()),
        "loss": float(before.losses.mean()),
        "macro": classes.macro(counts),
        "classes": classes.per_class(counts, names),
        "confusion_matrix": classes.matrix(counts),
        "confusions": classes.confusions(counts, names),
        "calibration": {
            "temperature": temperature,
            "bins": BINS,
            "method": "as_served" if held_out is None else "cross_fitted",
            **{f"{name}_before": value for name, value in _calibration(before).items()},
            **{f"{name}_after": value for name, value in _calibration(after).items()},
        },
        "mistakes": _mistakes(scored, names, after, temperature),
    }


def _calibration(judged: Judged) -> Json:
    bins = reliability(judged)
    return {"ece": ece(bins), "loss": float(judged.losses.mean()), "reliability": bins}


def _mistakes(scored: Scored, names: Sequence[str], judged: Judged, temperature: float) -> list[Json]:
    """The wrong predictions of the highest served scores: where the label, not the model, may be wrong."""
    wrong = (~judged.right).nonzero().flatten()
    worst = wrong[judged.confidence[wrong].argsort(descending=True, stable=True)[:MISTAKES]]
    served = torch.softmax(scored.logits[worst].double() / temperature, dim=1).max(dim=1)
    found = [
        {
            "item": item.id,
            "name": item.name,
            "split": item.split,
            "label": item.label,
            "predicted": names[predicted],
            "score": score,
        }
        for item, predicted, score in zip(
            (scored.items[row] for row in worst.tolist()), served.indices.tolist(), served.values.tolist(), strict=True
        )
    ]
    return sorted(found, key=lambda mistake: -float(mistake["score"]))
