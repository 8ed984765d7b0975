"""The temperature that makes probabilities mean what they say, and the error that is left."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from models_store.reporting import calibration
from models_store.reporting.calibration import calibrate, ece, fit_temperature, judge, reliability


def drawn(items: int, classes: int, sharpened: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that are ``sharpened`` times those from whose probabilities the labels were drawn."""
    chance = torch.Generator().manual_seed(seed)
    true = 2 * torch.randn(items, classes, generator=chance)
    labels = torch.multinomial(torch.softmax(true, dim=1), 1, generator=chance)[:, 0]
    return true * sharpened, labels


def rows(labels: Tensor) -> Tensor:
    return torch.arange(len(labels))


@pytest.mark.parametrize("sharpened", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_logits_too_sharp_or_too_flat(sharpened: float) -> None:
    logits, labels = drawn(20_000, 4, sharpened)
    assert fit_temperature(logits, labels, rows(labels)) == pytest.approx(sharpened, rel=0.05)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    logits, labels = drawn(5_000, 3, 2.0)
    best = fit_temperature(logits, labels, rows(labels))
    losses = [float(judge(logits, labels, best * factor).losses.mean()) for factor in (0.97, 1.0, 1.03)]
    assert losses[1] == min(losses)


def test_a_temperature_stays_within_its_bounds() -> None:
    labels = torch.arange(40) % 2
    wrong = torch.nn.functional.one_hot(1 - labels).float() * 9
    assert fit_temperature(wrong, labels, rows(labels)) == pytest.approx(calibration.HIGHEST, rel=1e-6)
    assert fit_temperature(-wrong * 1e-9, labels, rows(labels)) == pytest.approx(calibration.LOWEST, rel=1e-6)


def test_a_few_items_that_are_all_told_right_do_not_ask_for_certainty() -> None:
    labels = torch.arange(24) % 2
    logits = torch.nn.functional.one_hot(labels).float()
    served = judge(logits, labels, calibrate(logits, labels).temperature)
    assert 0.9 < float(served.confidence.max()) <= 1 - 1 / 26 + 1e-6


def test_calibrating_lowers_error_and_loss_of_logits_that_are_too_sure() -> None:
    logits, labels = drawn(2_000, 5, 4.0)
    found = calibrate(logits, labels)
    assert found.held_out is not None
    before, after = judge(logits, labels), judge(logits, labels, found.held_out)
    assert ece(reliability(after)) < 0.3 * ece(reliability(before))
    assert float(after.losses.mean()) < float(before.losses.mean())
    assert torch.equal(before.predicted, after.predicted)


def test_fewer_items_than_the_least_change_nothing() -> None:
    logits, labels = drawn(calibration.MIN_ITEMS - 1, 3, 5.0)
    assert calibrate(logits, labels) == calibration.Calibration(1.0, None)
    logits, labels = drawn(calibration.MIN_ITEMS * 10, 3, 5.0)
    assert calibrate(logits, labels).temperature > 1.5


def test_a_temperature_that_does_not_help_is_not_used() -> None:
    labels = torch.arange(200) % 2
    assert calibrate(torch.zeros(200, 2), labels).temperature == 1.0


def test_an_item_is_judged_by_a_temperature_that_it_did_not_help_to_fit() -> None:
    logits, labels = drawn(400, 2, 4.0)
    first = calibrate(logits, labels).held_out
    changed = logits.clone()
    changed[7] *= -3
    second = calibrate(changed, labels).held_out
    assert first is not None
    assert second is not None
    assert len(set(first.tolist())) == 2
    assert first[7] == second[7]
    assert float((first != second).double().mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("classes", [2, 10])
def test_the_error_is_that_of_torchmetrics(classes: int) -> None:
    logits, labels = drawn(3_000, classes, 2.5)
    expected = multiclass_calibration_error(logits.softmax(1), labels, classes, n_bins=calibration.BINS)
    assert ece(reliability(judge(logits, labels))) == pytest.approx(float(expected), abs=1e-5)


def test_bins_hold_every_item_once_and_say_what_is_in_them() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    logits = torch.log(torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.51, 0.49], [0.95, 0.05]]))
    bins = reliability(judge(logits, labels))
    filled = {place: entry for place, entry in enumerate(bins) if entry["count"]}
    assert filled.keys() == {7, 14}
    assert (filled[14]["count"], filled[14]["from"], filled[14]["to"]) == (3, 14 / 15, 1.0)
    assert filled[14]["confidence"] == pytest.approx(0.95)
    assert filled[14]["accuracy"] == pytest.approx(2 / 3)
    assert ece(bins) == pytest.approx(0.75 * (0.95 - 2 / 3) + 0.25 * 0.49)
    assert bins[0] == {"from": 0.0, "to": 1 / 15, "count": 0, "confidence": None, "accuracy": None}


def test_judging_in_parts_is_judging_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = drawn(100, 3, 1.0)
    whole = judge(logits, labels, 1.7)
    monkeypatch.setattr(calibration, "_CHUNK_VALUES", 21)  # real ones are too large for a test
    parts = judge(logits, labels, 1.7)
    assert torch.equal(whole.losses, parts.losses)
    assert torch.equal(whole.confidence, parts.confidence)
    assert math.isclose(float(whole.right.double().mean()), float(parts.right.double().mean()))
