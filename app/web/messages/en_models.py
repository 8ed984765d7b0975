"""English texts of models, predictions, comparisons, administration and charts."""

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    # Charts
    "charts.as_table": "As a table",
    "charts.balance.caption": "Items by class: {shown} of {classes} classes",
    "charts.balance.share": "Share of the largest class",
    "charts.class": "Class",
    "charts.classes.caption": "Each class by itself",
    "charts.classes.first": "{shown} of {classes} classes in the order of the labels",
    "charts.classes.worst": "The {shown} classes of {classes} that are told worst",
    "charts.confusion.caption": "What items of each class were taken for",
    "charts.confusion.cell": "{label} taken for {predicted}: {share}",
    "charts.confusion.corner": "Label ↓ Prediction →",
    "charts.confusion.label": "Label",
    "charts.confusion.none": "No item was taken for another class.",
    "charts.confusion.pairs": "The {shown} most frequent confusions",
    "charts.confusion.part": "Of this label's items",
    "charts.confusion.predicted": "Taken for",
    "charts.f1": "F1",
    "charts.items": "Items",
    "charts.precision": "Precision",
    "charts.recall": "Recall",
    "charts.reliability.after": "As served",
    "charts.reliability.after_accuracy": "Right, as served",
    "charts.reliability.after_confidence": "Mean score, as served",
    "charts.reliability.after_items": "Items, as served",
    "charts.reliability.axis": "Score",
    "charts.reliability.before": "Before calibration",
    "charts.reliability.before_accuracy": "Right, before",
    "charts.reliability.before_confidence": "Mean score, before",
    "charts.reliability.before_items": "Items, before",
    "charts.reliability.caption": "Scores and how often they were right",
    "charts.reliability.described": (
        "Share of right predictions by score, over {items} items. On the diagonal, scores mean what they say; "
        "the mean distance from it is {ece}."
    ),
    "charts.reliability.error": "Calibration error {ece}",
    "charts.score": "Score",
    "charts.split.test": "Test",
    "charts.split.train": "Training",
    "charts.split.validation": "Validation",
    "charts.support": "Items",
}
