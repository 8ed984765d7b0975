import pytest

from models_store.decision import Known, Probe, decide, floor, leaves_room, size
from models_store.settings import StoreSettings
from models_store.spec import JobSpec, Strategy

IMAGES = ("freeze", "full", "gradual")


def spec(strategy: Strategy) -> JobSpec:
    return JobSpec(dataset="ds_x", backbone="timm/resnet18", strategy=strategy)


def known(examples: int, probe: Probe | None = None) -> Known:
    return Known(examples, classes=3, majority=0.4, probe=probe)


def probed(accuracy: float, half: float, validated: int = 1_000) -> Probe:
    return Probe(accuracy, half, knn_accuracy=0.5, probed_examples=2_000, validated_examples=validated)


def auto(examples: int, probe: Probe | None = None) -> dict[str, object]:
    return decide(spec("auto"), StoreSettings(), known(examples, probe), IMAGES)


@pytest.mark.parametrize(
    ("examples", "expected"), [(10, "freeze"), (1_999, "freeze"), (5_000, "freeze"), (10_000, "full"), (10**6, "full")]
)
def test_auto_without_a_probe_goes_by_the_number_of_training_examples(examples: int, expected: str) -> None:
    decision = auto(examples)
    assert decision["strategy"] == expected
    assert f"{examples:,} training examples in 3 classes" in str(decision["reason"])


@pytest.mark.parametrize(
    ("accuracy", "half", "validated", "expected"),
    [
        (0.75, 0.745, 1_000, "full"),  # a quarter is wrong, and twice the examples hardly helped
        (0.75, 0.750, 1_000, "full"),
        (0.75, 0.760, 1_000, "full"),  # a falling curve is a flat one
        (0.50, 0.450, 1_000, "full"),  # still rising, but it will not get far
        (0.97, 0.968, 1_000, "freeze"),  # nothing to gain
        (0.90, 0.860, 1_000, "freeze"),  # more examples are what is missing
        (0.92, 0.918, 1_000, "full"),
        (0.92, 0.918, 200, "freeze"),  # the same on a few items may be chance
        (0.75, 0.745, 20, "freeze"),
        (0.40, 0.400, 20, "full"),  # not even a few items can look so bad by chance
        (1.00, 1.000, 1, "freeze"),
        (0.00, 0.000, 1, "full"),
    ],
)
def test_between_the_limits_the_probe_decides(accuracy: float, half: float, validated: int, expected: str) -> None:
    decision = auto(5_000, probed(accuracy, half, validated))
    assert decision["strategy"] == expected
    assert f"{accuracy:.1%}" in str(decision["reason"])
    assert f"{half:.1%} with half" in str(decision["reason"])


@pytest.mark.parametrize(("examples", "expected"), [(1_999, "freeze"), (10_000, "full")])
@pytest.mark.parametrize("accuracy", [0.1, 0.999])
def test_beyond_the_limits_no_probe_outweighs_the_size(examples: int, expected: str, accuracy: float) -> None:
    assert auto(examples, probed(accuracy, accuracy))["strategy"] == expected


def test_the_floor_is_what_more_examples_would_not_take_away() -> None:
    assert floor(probed(0.8, 0.8)) == pytest.approx(0.2)
    assert floor(probed(0.8, 0.76)) == pytest.approx(0.2 - 0.04 / (2**0.5 - 1))
    assert floor(probed(0.9, 0.5)) == 0.0
    assert not leaves_room(probed(0.9, 0.5))


def test_the_evidence_is_shown_and_what_was_not_measured_is_null() -> None:
    assert auto(5_000, probed(0.75, 0.745))["evidence"] == {
        "training_examples": 5_000,
        "classes": 3,
        "majority": 0.4,
        "probe_accuracy": 0.75,
        "probe_accuracy_half": 0.745,
        "knn_accuracy": 0.5,
        "probed_examples": 2_000,
        "validated_examples": 1_000,
    }
    evidence = auto(10_000)["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["probe_accuracy"] is None


def test_what_else_was_possible_is_told_with_what_it_would_do() -> None:
    alternatives = auto(10)["alternatives"]
    assert isinstance(alternatives, list)
    assert [other["strategy"] for other in alternatives] == ["full", "gradual"]
    assert all(other["reason"] for other in alternatives)


def test_both_limits_are_settings() -> None:
    settings = StoreSettings(freeze_below=5, full_from=6)
    decided = [decide(spec("auto"), settings, known(examples), IMAGES)["strategy"] for examples in (4, 6)]
    assert decided == ["freeze", "full"]
    assert [size(settings, examples) for examples in (4, 5, 6)] == ["small", "between", "large"]


def test_a_strategy_that_was_asked_for_is_taken() -> None:
    decision = decide(spec("full"), StoreSettings(), known(10), IMAGES)
    assert (decision["strategy"], decision["reason"]) == ("full", "chosen in the request")
    assert [other["strategy"] for other in decision["alternatives"]] == ["freeze", "gradual"]
