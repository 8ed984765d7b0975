"""When a prediction is too doubtful to be given."""

from typing import Any, Final

RARE: Final = 0.05
"""What is farther out than all but this share of the validation items counts for less, the farther the less."""


def confidence(score: float, out_of_distribution: float | None) -> float:
    """How far a prediction can be trusted, in [0, 1].

    The calibrated score is right on average for items like those of the training. For an item that is farther from
    those than 95 % of the validation items were, it is multiplied by ``(1 - out_of_distribution) / 0.05``: 1 at 95 %,
    0 for an item that is farther out than all of them. ``None``: the model does not tell, so the score stands alone.
    """
    if out_of_distribution is None:
        return score
    return score * min(1.0, (1.0 - out_of_distribution) / RARE)


def abstain(prediction: dict[str, Any], below: float) -> dict[str, Any]:
    """The prediction with its ``confidence`` and ``abstained``; without its ``label`` where the former is too low.

    The scores stay. An error stays as it is.
    """
    if "error" in prediction:
        return prediction
    sure = confidence(prediction["score"], prediction["diagnostics"].get("out_of_distribution"))
    label = prediction["label"] if sure >= below else None
    return {**prediction, "label": label, "confidence": sure, "abstained": label is None}
