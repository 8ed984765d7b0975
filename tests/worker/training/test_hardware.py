import pytest
import torch

from models_store.errors import InvalidError
from models_store.spec import Training
from worker.training.hardware import lightning_precision, resolve


def test_nothing_stays_auto() -> None:
    resolved = resolve(Training(), "full")
    assert resolved.accelerator == ("gpu" if torch.cuda.is_available() else "cpu")
    assert resolved.precision in {"32", "16-mixed", "bf16-mixed"}


def test_what_was_chosen_stays() -> None:
    resolved = resolve(Training(accelerator="cpu", precision="bf16-mixed"), "full")
    assert (resolved.accelerator, resolved.precision) == ("cpu", "bf16-mixed")
    assert lightning_precision(resolved) == "bf16-mixed"


def test_precision_32_may_be_a_number_or_a_word() -> None:
    assert [lightning_precision(resolve(Training(precision=word), "full")) for word in (32, "32")] == ["32-true"] * 2


def test_more_devices_than_one_are_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidError, match="Leave devices at 1") as refusal:
        resolve(Training(devices=2), "full")
    assert refusal.value.code == "devices_unsupported"
