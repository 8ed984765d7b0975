"""What a report says of some items."""

import json

import pytest
import torch

from models_store.itemset import Item
from models_store.reporting import classes
from models_store.reporting.report import MISTAKES, Scored, figures

NAMES = ["긍정", "부정"]


def scored(values: list[tuple[float, int]], split: str = "validation") -> Scored:
    """Items whose logit for the second class is given, with their labels."""
    items = [
        Item(str(row), f"{row}번 영화평", NAMES[label], split, "0" * 64, 0, 1) for row, (_, label) in enumerate(values)
    ]
    logits = torch.tensor([[0.0, logit] for logit, _ in values])
    return Scored(items, logits, torch.tensor([label for _, label in values]))


def test_the_surest_mistakes_come_first_with_what_is_needed_to_look_at_them() -> None:
    found = figures("validation", scored([(3.0, 0), (2.0, 1), (9.0, 0), (-1.0, 1), (-5.0, 0)]), NAMES, 2.0)
    assert [entry["item"] for entry in found["mistakes"]] == ["2", "0", "3"]
    assert found["mistakes"][0] == {
        "item": "2",
        "name": "2번 영화평",
        "split": "validation",
        "label": "긍정",
        "predicted": "부정",
        "score": pytest.approx(1 / (1 + 2.718281828**-4.5)),
    }
    assert found["accuracy"] == pytest.approx(0.4)


def test_no_more_mistakes_are_listed_than_can_be_looked_at() -> None:
    found = figures("validation", scored([(1.0 + row / 100, 0) for row in range(200)]), NAMES, 1.0)
    assert [entry["item"] for entry in found["mistakes"]] == [str(row) for row in range(199, 199 - MISTAKES, -1)]


def test_a_model_without_mistakes_has_none() -> None:
    found = figures("validation", scored([(4.0, 1), (-4.0, 0)]), NAMES, 1.0)
    assert (found["mistakes"], found["accuracy"], found["confusions"]) == ([], 1.0, [])


def test_calibration_is_told_before_and_after_and_how_it_was_measured() -> None:
    some = scored([(4.0, row % 3 and 1) for row in range(60)])
    plain, served = figures("test", some, NAMES, 1.0)["calibration"], figures("test", some, NAMES, 5.0)["calibration"]
    assert plain["ece_before"] == plain["ece_after"] == served["ece_before"]
    assert served["ece_after"] < served["ece_before"]
    assert served["loss_after"] < served["loss_before"]
    assert (served["temperature"], served["method"]) == (5.0, "as_served")
    crossed = figures("test", some, NAMES, 5.0, held_out=torch.full((60,), 1.0, dtype=torch.float64))["calibration"]
    assert (crossed["method"], crossed["ece_after"]) == ("cross_fitted", plain["ece_before"])


def test_a_split_is_what_its_items_say() -> None:
    parts = [scored([(1.0, 1)] * 3, "train"), scored([(1.0, 0)] * 2, "test")]
    whole = Scored(
        [item for part in parts for item in part.items],
        torch.cat([part.logits for part in parts]),
        torch.cat([part.labels for part in parts]),
    )
    assert figures("train", whole.split("train"), NAMES, 1.0)["accuracy"] == 1.0
    assert figures("test", whole.split("test"), NAMES, 1.0)["accuracy"] == 0.0
    assert len(whole.split("validation").items) == 0


def test_a_report_on_a_thousand_classes_stays_small() -> None:
    labels = torch.arange(5_000) % 1_000
    items = [Item(str(row), str(row), str(int(label)), "test", "0" * 64, 0, 1) for row, label in enumerate(labels)]
    logits = torch.randn(5_000, 1_000, generator=torch.Generator().manual_seed(0))
    found = figures("test", Scored(items, logits, labels), [str(number) for number in range(1_000)], 1.3)
    assert found["confusion_matrix"] is None
    assert len(found["confusions"]) == classes.CONFUSIONS
    assert len(json.dumps(found)) < 200_000
