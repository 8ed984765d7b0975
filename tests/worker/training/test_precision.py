from pathlib import Path

import pytest
import torch
from finetuned_test_plugins import Tiny

from models_store.backbones.family import IMAGES, Architecture, Batch
from models_store.network import Network
from models_store.spec import Training
from worker.training import remembering
from worker.training.precision import Comparison, choose, compare
from worker.training.strategies import full
from worker.training.trial import Trial


@pytest.mark.parametrize(
    ("measured", "expected", "said"),
    [
        (Comparison(1.0, 0.5, 0.70, 0.701), "bf16-mixed", "2.0 times faster"),
        (Comparison(1.0, 0.5, 0.70, 0.690), "bf16-mixed", "they agree"),
        (Comparison(1.0, 0.9, 0.70, 0.701), "32", "not 1.2 times faster"),
        (Comparison(1.0, 3.0, 0.70, 0.700), "32", "not 1.2 times faster"),
        (Comparison(1.0, 0.5, 0.70, 0.730), "32", "differ by more than 2%"),
        (Comparison(1.0, 0.5, 0.70, 0.670), "32", "differ by more than 2%"),
        (Comparison(1.0, 0.5, 0.70, float("nan")), "32", "differ"),
        (Comparison(1.0, 0.5, float("inf"), float("inf")), "32", "differ"),
        (Comparison(1.0, 0.0, 0.0, 0.0), "bf16-mixed", "they agree"),
    ],
)
def test_half_precision_must_be_faster_and_agree(measured: Comparison, expected: str, said: str) -> None:
    chosen, why = choose(measured)
    assert chosen == expected
    assert said in why
    assert f"{measured.seconds_32:.3f} s in 32" in why


def batches() -> list[Batch]:
    chance = torch.Generator().manual_seed(0)
    return [{"pixels": torch.rand(8, 3, 32, 32, generator=chance), "label": torch.arange(8) % 3} for _ in range(4)]


def test_both_precisions_are_really_run_from_the_same_weights() -> None:
    network = Network(Tiny(), Architecture("plugin", "tiny", IMAGES, 16, {}), 3)
    made: list[str] = []
    steps: list[int] = []

    def make(precision: str) -> Trial:
        made.append(precision)
        training = Training(precision="bf16-mixed" if precision == "bf16-mixed" else "32", head_lr=0.01)
        return Trial(network, full, training, torch.device("cpu"))

    measured = compare(make, batches(), lambda: steps.append(1))
    assert made == ["32", "bf16-mixed"]
    assert len(steps) == 8
    assert measured.seconds_32 > 0
    assert measured.seconds_bf16 > 0
    assert measured.loss_bf16 == pytest.approx(measured.loss_32, rel=0.02)
    assert measured.loss_bf16 != measured.loss_32  # it was computed in another precision
    assert choose(measured)[0] in {"32", "bf16-mixed"}


def test_what_was_measured_is_remembered_for_equal_facts_alone(tmp_path: Path) -> None:
    calls: list[int] = []

    def measure() -> dict[str, float]:
        calls.append(1)
        return {"seconds": float(len(calls))}

    first = remembering.once(tmp_path, {"backbone": "a"}, measure)
    assert remembering.once(tmp_path, {"backbone": "a"}, measure) == first == {"seconds": 1.0}
    assert remembering.once(tmp_path, {"backbone": "b"}, measure) == {"seconds": 2.0}


def test_a_damaged_memory_is_measured_anew(tmp_path: Path) -> None:
    remembering.once(tmp_path, {"backbone": "a"}, lambda: {"seconds": 1.0})
    (file,) = (tmp_path / remembering.FOLDER).iterdir()
    file.write_text("{")
    assert remembering.once(tmp_path, {"backbone": "a"}, lambda: {"seconds": 2.0}) == {"seconds": 2.0}
    assert remembering.once(tmp_path, {"backbone": "a"}, lambda: {"seconds": 3.0}) == {"seconds": 2.0}
