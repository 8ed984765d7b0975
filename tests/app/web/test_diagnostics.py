"""What was done to an input, in words."""

from typing import Any

import pytest

from app.web.diagnostics import remarks
from app.web.texts import LANGUAGES, Texts

_IMAGE = {"width": 32, "height": 24, "exif_applied": True, "alpha_dropped": True, "upscaled": True}


def _said(**diagnostics: Any) -> list[tuple[str, bool]]:
    return [(remark.text, remark.doubt) for remark in remarks(diagnostics, Texts("en"))]


def test_a_text_that_was_cut_is_a_reason_to_doubt() -> None:
    assert _said(tokens=512, truncated=True) == [
        ("The text is longer than the model reads: only 512 tokens of it counted.", True)
    ]
    assert _said(tokens=17, truncated=False) == [("17 tokens.", False)]


def test_what_was_done_to_a_picture_is_told_and_reasons_to_doubt_come_first() -> None:
    said = _said(**_IMAGE)
    assert said[0] == (
        "The picture (32 × 24 pixels) is smaller than what the model looks at, and was enlarged: "
        "fine detail is missing.",
        True,
    )
    assert [doubt for _, doubt in said] == [True, False, False]
    assert _said(**{**_IMAGE, "exif_applied": False, "alpha_dropped": False, "upscaled": False}) == [
        ("32 × 24 pixels.", False)
    ]


@pytest.mark.parametrize(("share", "doubt"), [(0.0, False), (0.95, False), (0.951, True), (1.0, True)])
def test_an_input_farther_out_than_95_percent_is_unlike_the_training_data(share: float, doubt: bool) -> None:
    ((text, doubts),) = _said(out_of_distribution=share)
    assert doubts == doubt
    assert text.startswith("Unlike" if doubt else "Like")


def test_a_model_that_does_not_tell_has_no_remark() -> None:
    assert _said() == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_remark_has_words(language: str) -> None:
    told = {**_IMAGE, "tokens": 5, "truncated": True, "out_of_distribution": 1.0}
    assert len(list(remarks(told, Texts(language)))) == 5
