"""A model that may say that it does not know."""

from typing import Any

import pytest

from models_store.abstaining import abstain, confidence


def prediction(score: float, **diagnostics: float) -> dict[str, Any]:
    return {"label": "벌", "score": score, "scores": [{"label": "벌", "score": score}], "diagnostics": diagnostics}


@pytest.mark.parametrize(
    ("out_of_distribution", "expected"), [(None, 0.8), (0.0, 0.8), (0.95, 0.8), (0.975, 0.4), (0.99, 0.16), (1.0, 0.0)]
)
def test_confidence_is_the_score_discounted_for_what_is_farther_out_than_95_percent(
    out_of_distribution: float | None, expected: float
) -> None:
    assert confidence(0.8, out_of_distribution) == pytest.approx(expected)


def test_a_doubtful_prediction_has_no_label_and_keeps_its_scores() -> None:
    answer = abstain(prediction(0.6, out_of_distribution=0.2), 0.7)
    assert (answer["label"], answer["abstained"], answer["confidence"]) == (None, True, 0.6)
    assert answer["scores"] == [{"label": "벌", "score": 0.6}]


def test_a_sure_prediction_is_given() -> None:
    answer = abstain(prediction(0.7), 0.7)
    assert (answer["label"], answer["abstained"]) == ("벌", False)


def test_a_sure_prediction_of_something_far_out_is_not_given() -> None:
    assert abstain(prediction(0.999, out_of_distribution=1.0), 0.1)["label"] is None


def test_an_error_stays_as_it_is() -> None:
    assert abstain({"error": {"code": "empty_text"}}, 0.5) == {"error": {"code": "empty_text"}}
