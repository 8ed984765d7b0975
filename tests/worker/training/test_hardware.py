import pytest
import torch

from models_store import processors
from models_store.errors import InvalidError
from models_store.spec import Training
from worker.training.hardware import (
    SMALL_PRODUCTS,
    lightning_precision,
    resolve_accelerator,
    resolve_precision,
    threads_for,
)


def test_the_accelerator_is_what_there_is() -> None:
    resolved = resolve_accelerator(Training())
    assert resolved.accelerator == ("gpu" if torch.cuda.is_available() else "cpu")


def test_what_was_chosen_stays() -> None:
    resolved = resolve_accelerator(Training(accelerator="cpu", precision="bf16-mixed"))
    resolved = resolve_precision(resolved, trains_backbone=False)
    assert (resolved.accelerator, resolved.precision) == ("cpu", "bf16-mixed")
    assert lightning_precision(resolved) == "bf16-mixed"


@pytest.mark.parametrize(("trains_backbone", "expected"), [(False, "32"), (True, "auto")])
def test_on_a_cpu_only_measuring_tells_the_precision_of_a_backbone(trains_backbone: bool, expected: str) -> None:
    assert resolve_precision(Training(accelerator="cpu"), trains_backbone=trains_backbone).precision == expected


def test_half_precision_on_a_cpu_is_bfloat16_and_shown_as_such() -> None:
    asked = Training(accelerator="cpu", precision="16-mixed")
    assert resolve_precision(asked, trains_backbone=True).precision == "bf16-mixed"


def test_precision_32_may_be_a_number_or_a_word() -> None:
    words = [resolve_precision(Training(precision=word), trains_backbone=True) for word in (32, "32")]
    assert [resolved.precision for resolved in words] == ["32", "32"]
    assert [lightning_precision(resolved) for resolved in words] == ["32-true"] * 2


@pytest.mark.parametrize(("cores", "most"), [(1, 2), (2, 2), (6, 6)])
def test_a_cpu_has_a_device_a_core_and_two_in_any_case(monkeypatch: pytest.MonkeyPatch, cores: int, most: int) -> None:
    monkeypatch.setattr(processors, "usable", lambda: cores)
    assert resolve_accelerator(Training(accelerator="cpu", devices=most)).devices == most
    with pytest.raises(InvalidError, match=f"has {most} .* Choose no more devices") as refusal:
        resolve_accelerator(Training(accelerator="cpu", devices=most + 1))
    assert (refusal.value.code, refusal.value.param) == ("devices_unsupported", "training.devices")


def test_a_batch_with_fewer_items_than_devices_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidError, match="a batch_size of at least 2") as refusal:
        resolve_accelerator(Training(accelerator="cpu", devices=2, batch_size=1))
    assert (refusal.value.code, refusal.value.param) == ("devices_unsupported", "training.batch_size")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidError, match="has no GPU") as refusal:
        resolve_accelerator(Training(accelerator="gpu"))
    assert refusal.value.code == "accelerator_unavailable"


@pytest.mark.parametrize(("products", "alone"), [(SMALL_PRODUCTS - 1, True), (SMALL_PRODUCTS, False), (None, False)])
def test_small_products_are_for_one_thread_and_the_rest_gets_them_all_back(products: int | None, alone: bool) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(products):
            assert torch.get_num_threads() == (1 if alone else 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
