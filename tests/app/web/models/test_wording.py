"""Cards in sentences, whatever an older or newer service has put into them."""

import pytest

from app.web.models import wording
from app.web.texts import LANGUAGES, Texts

_PARITY = {"engine": "torch", "items": 256, "max_abs_logit_diff": 5.96e-6, "passed": True, "reused": False}
_BF16 = {"items": 2000, "labels_changed": 0, "max_probability_change": 0.0042, "passed": True}
_IMAGE = {
    "kind": "image",
    "resize": 256,
    "crop": [224, 240],
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
en = Texts("en")


def test_parity_tells_how_many_items_by_which_engine_and_how_far_apart() -> None:
    (said,) = wording.parity(_PARITY, en)
    assert "256 validation items" in said
    assert "PyTorch" in said
    assert "6.0e-06" in said


def test_parity_tells_what_was_reused_and_how_bfloat16_did() -> None:
    said = wording.parity({**_PARITY, "reused": True, "bf16": _BF16}, en)
    assert len(said) == 3
    assert "0 of 2000 labels changed and probabilities moved by at most 0.0042: it may be served so." in said[2]
    refused = wording.parity({**_PARITY, "bf16": {**_BF16, "passed": False}}, en)
    assert refused[1].endswith("it is served in float32.")


@pytest.mark.parametrize("found", [None, {}, {"passed": True}])
def test_a_certificate_without_figures_claims_nothing(found: dict[str, bool] | None) -> None:
    assert wording.parity(found, en) == ["It has no certificate with figures."]


def test_the_freeze_proof_says_whether_the_backbone_changed() -> None:
    assert wording.freeze_proof({"unchanged": True}, en).startswith("Not one weight of the backbone changed")
    assert wording.freeze_proof({"unchanged": False}, en).startswith("The backbone was trained as well")
    assert wording.freeze_proof(None, en) == "Nothing was recorded."


def test_image_preprocessing_names_its_sizes_as_width_by_height() -> None:
    said = list(wording.preprocessing(_IMAGE, en))
    assert "shorter side has 256 pixels (bicubic)" in said[0]
    assert said[1].startswith("240 × 224 pixels")
    assert "0.485, 0.456, 0.406" in said[2]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("resize", [None, 256, [256, 320]])
def test_every_way_of_resizing_has_words(language: str, mode: str, resize: object) -> None:
    said = list(wording.preprocessing({**_IMAGE, "crop_mode": mode, "resize": resize}, Texts(language)))
    assert len(said) == (2 if resize is None else 3)
    assert ("320 × 256" in said[0]) == isinstance(resize, list)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_text_preprocessing_has_words(language: str, side: str) -> None:
    card = {"kind": "text", "max_length": 512, "truncation_side": side}
    said = list(wording.preprocessing(card, Texts(language)))
    assert "512" in said[0]
    assert len(said) == 2


def test_preprocessing_of_an_unknown_kind_is_left_out() -> None:
    assert list(wording.preprocessing({"kind": "sound"}, en)) == []
    assert list(wording.preprocessing({}, en)) == []
