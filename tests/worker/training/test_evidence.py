import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from models_store.decision import Probe
from worker.training.data import FeatureRows
from worker.training.evidence import majority, probe


class Stopped(Exception):  # noqa: N818 - it stands for a cancellation
    """Somebody wants the job to stop."""


def rows(features: Tensor, labels: Tensor) -> FeatureRows:
    return FeatureRows(features.float(), labels.long())


def digits() -> tuple[FeatureRows, FeatureRows]:
    """900 handwritten digits to fit on, 400 to judge by, 64 grey values each."""
    pixels, labels = (torch.from_numpy(values) for values in load_digits(return_X_y=True))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    fit, judge = order[:900], order[900:1300]
    return rows(pixels[fit], labels[fit]), rows(pixels[judge], labels[judge])


def probed(train: FeatureRows, validation: FeatureRows, classes: int) -> Probe:
    result = probe(train, validation, classes, lambda: None)
    assert result is not None
    return result


def test_the_probe_is_as_good_as_a_well_known_logistic_regression() -> None:
    train, validation = digits()
    known = LogisticRegression(max_iter=2_000).fit(train.features.numpy(), train.labels.numpy())
    expected = known.score(validation.features.numpy(), validation.labels.numpy())
    result = probed(train, validation, 10)
    assert result.probe_accuracy == pytest.approx(expected, abs=0.02)
    assert result.knn_accuracy > 0.95
    assert (result.probed_examples, result.validated_examples) == (900, 400)


def test_half_of_the_examples_tells_less_where_examples_are_what_is_missing() -> None:
    chance = torch.Generator().manual_seed(1)
    direction = torch.randn(2, 300, generator=chance) * 0.15

    def drawn(count: int) -> FeatureRows:
        labels = torch.arange(count) % 2
        return rows(direction[labels] + torch.randn(count, 300, generator=chance), labels)

    result = probed(drawn(80), drawn(2_000), 2)
    assert result.probe_accuracy - result.probe_accuracy_half > 0.03


def test_neighbours_see_what_no_straight_line_cuts() -> None:
    chance = torch.Generator().manual_seed(2)
    points = torch.rand(1_200, 2, generator=chance) * 2 - 1
    labels = (points[:, 0] * points[:, 1] > 0).long()
    result = probed(rows(points[:800], labels[:800]), rows(points[800:], labels[800:]), 2)
    assert result.probe_accuracy < 0.65
    assert result.knn_accuracy > 0.9


def test_features_of_very_different_scales_count_alike() -> None:
    train, validation = digits()
    scales = torch.logspace(-4, 4, 64)
    scaled = probed(
        rows(train.features * scales, train.labels), rows(validation.features * scales, validation.labels), 10
    )
    assert scaled.probe_accuracy == pytest.approx(probed(train, validation, 10).probe_accuracy, abs=0.01)


def test_the_same_features_give_the_same_evidence_and_no_generator_moves() -> None:
    train, validation = digits()
    before = torch.get_rng_state()
    assert probed(train, validation, 10) == probed(train, validation, 10)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_handful_of_equal_items_is_no_obstacle(count: int) -> None:
    few = rows(torch.ones(count, 4), torch.arange(count) % 2)
    assert 0 <= probed(few, few, 2).probe_accuracy <= 1


def test_features_that_are_not_finite_give_no_evidence() -> None:
    broken = rows(torch.full((6, 3), torch.nan), torch.arange(6) % 2)
    assert probe(broken, broken, 2, lambda: None) is None


def test_a_probe_can_be_stopped_while_it_fits() -> None:
    train, validation = digits()
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise Stopped

    with pytest.raises(Stopped):
        probe(train, validation, 10, stop)
    assert calls == 5


def test_threads_are_as_before_a_probe() -> None:
    before = torch.get_num_threads()
    few = rows(torch.randn(20, 4), torch.arange(20) % 2)
    probed(few, few, 2)
    assert torch.get_num_threads() == before


def test_the_majority_is_judged_on_the_validation_items() -> None:
    assert majority(torch.tensor([1, 1, 0]), torch.tensor([1, 0, 0, 0])) == 0.25
