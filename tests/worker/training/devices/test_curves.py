"""Two processes train as one does: the same losses, the same weights, whatever a job asks for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from finetuned_test_plugins import Tiny, Words
from torch import nn

from models_store.mirror import Mirror
from tests.models_store.samples import tiny_text_model
from tests.worker.training.devices.jobs import epochs, job, trained
from tests.worker.training.trainable import Trainable

EVERYTHING = {"class_weights": "balanced", "label_smoothing": 0.1, "sampling": "balanced", "augmentation": "light"}
BERT: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


NO_LOSS_DEPENDS_ON = "attention.self.key.bias"
"""Softmax takes it out again: its gradient is rounding, of which Adam makes whole steps."""


def compared(
    folder: Path,
    patch: pytest.MonkeyPatch,
    training: dict[str, Any],
    *,
    halvings: int = 0,
    module: type[nn.Module] = Tiny,
    **spec: Any,
) -> Trainable:
    """Train with one device and with two, compare, and give the job of two."""
    made, weights = [], []
    for devices in (1, 2):
        one = job(folder / str(devices), patch, devices, training, module=module(), **spec)
        if spec.get("backbone") == "hf/tiny/bert":
            torch.manual_seed(0)
            source = tiny_text_model(folder / f"source-{devices}", **BERT)
            Mirror(one.attempt.settings.store_dir).add("hf/tiny/bert", "DEFAULT", source)
        weights.append(trained(one, halvings))
        made.append(one)
    alone, together = (epochs(one) for one in made)
    assert len(alone) == len(together)
    for expected, found in zip(alone, together, strict=True):
        assert found["lr"] == pytest.approx(expected["lr"])
        for name in ("train_loss", "val_loss", "val_accuracy"):
            assert found[name] == pytest.approx(expected[name], rel=1e-4), (name, expected, found)
    assert abs(alone[-1]["train_loss"] - alone[0]["train_loss"]) > 0.01, "a curve that is flat compares nothing"
    for name, expected_weights in weights[0].items():
        if name.endswith(NO_LOSS_DEPENDS_ON):
            continue
        torch.testing.assert_close(weights[1][name], expected_weights, rtol=1e-3, atol=1e-5, msg=name)
    return made[1]


@pytest.mark.slow
def test_a_whole_model_with_batch_norm_weights_augmentation_and_batches_that_two_do_not_divide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = compared(tmp_path, monkeypatch, EVERYTHING)
    assert (job.attempt.row().config or {})["training"]["devices"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("halvings", [0, 2])
def test_accumulated_steps_of_adam_on_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, halvings: int) -> None:
    training = {"optimizer": "adamw", "head_lr": 1e-2, "backbone_lr": 1e-2, "max_epochs": 6}
    compared(tmp_path, monkeypatch, training, halvings=halvings, module=Words, backbone="hf/tiny/bert")


@pytest.mark.slow
def test_layers_that_thaw_in_the_midst_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {"max_epochs": 6, "batch_size": 6}
    together = compared(tmp_path, monkeypatch, training, strategy="gradual", backbone="timm/test_resnet", weights=None)
    assert "unfrozen" in "\n".join(together.log())


@pytest.mark.slow
def test_a_head_on_a_frozen_backbone_whose_items_are_augmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared(tmp_path, monkeypatch, {"augmentation": "strong"}, strategy="freeze")


@pytest.mark.slow
def test_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {"optimizer": "adamw", "head_lr": 1e-2}
    compared(tmp_path, monkeypatch, training, strategy="lora", module=Words, backbone="hf/tiny/bert")


@pytest.mark.slow
def test_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = {"max_epochs": 20, "head_lr": 2.0, "early_stopping": {"monitor": "val_loss", "patience": 1}}
    together = compared(tmp_path, monkeypatch, stopping)
    assert len(epochs(together)) < 20
