import pytest

from models_store.spec import JobSpec, Strategy
from worker.settings import WorkerSettings
from worker.training.decision import decide


def spec(strategy: Strategy) -> JobSpec:
    return JobSpec(dataset="ds_x", backbone="timm/resnet18", strategy=strategy)


@pytest.mark.parametrize(
    ("examples", "expected"), [(10, "freeze"), (1_999, "freeze"), (5_000, "freeze"), (10_000, "full"), (10**6, "full")]
)
def test_auto_goes_by_the_number_of_training_examples(examples: int, expected: str) -> None:
    decision = decide(spec("auto"), WorkerSettings(), examples, classes=3)
    assert decision["strategy"] == expected
    assert f"{examples:,} training examples in 3 classes" in decision["reason"]
    assert decision["evidence"] == {"training_examples": examples, "classes": 3}


def test_both_limits_are_settings() -> None:
    settings = WorkerSettings(freeze_below=5, full_from=6)
    assert [decide(spec("auto"), settings, examples, 2)["strategy"] for examples in (4, 6)] == ["freeze", "full"]


def test_a_strategy_that_was_asked_for_is_taken() -> None:
    decision = decide(spec("full"), WorkerSettings(), 10, classes=2)
    assert (decision["strategy"], decision["reason"]) == ("full", "chosen in the request")
