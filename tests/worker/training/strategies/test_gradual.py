"""Frozen first, then unfrozen from the top: what is frozen does not move by a bit, what has thawed trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models_store.backbones.family import Backbone
from models_store.spec import EarlyStopping, Training
from tests.worker.training.tiny_fit import STEPS_AN_EPOCH, Fit, Watch, image_backbone, new_attempt, text_backbone
from worker.training.strategies.gradual import thawed
from worker.training.strategies.layers import Layer, layers

TRAINING = Training(max_epochs=6, backbone_lr=1e-3, head_lr=1e-2, early_stopping=None)
STEPS = 6 * STEPS_AN_EPOCH
BACKBONES: dict[str, Callable[[Path], Backbone]] = {"image": image_backbone, "text": text_backbone}


def gradual(folder: Path, kind: str = "text", training: Training = TRAINING) -> Fit:
    return Fit(new_attempt(folder), BACKBONES[kind](folder), "gradual", training)


def tensors(layer: Layer) -> list[Tensor]:
    buffers = [buffer for module in layer.modules for buffer in module.buffers()]
    return [tensor.detach().clone() for tensor in (*layer.parameters, *buffers)]


class Moves:
    """Which layers have moved, and which modules were in training mode, after each step."""

    def __init__(self, backbone: nn.Module) -> None:
        self._layers = layers(backbone)
        self._before = [tensors(layer) for layer in self._layers]
        self.moved: dict[int, list[bool]] = {}
        self.in_training: dict[int, list[bool]] = {}

    def see(self, step: int) -> None:
        now = [tensors(layer) for layer in self._layers]
        pairs = zip(now, self._before, strict=True)
        self.moved[step] = [not all(map(torch.equal, one, other)) for one, other in pairs]
        modules = [[part for module in layer.modules for part in module.modules()] for layer in self._layers]
        self.in_training[step] = [all(part.training for part in parts) for parts in modules]
        assert all(len({part.training for part in parts}) == 1 for parts in modules)


@pytest.mark.parametrize("depth", [1, 3, 7, 60])
@pytest.mark.parametrize("steps", [3, 18, 1000])
def test_a_third_frozen_then_thawing_until_two_thirds(steps: int, depth: int) -> None:
    counts = [thawed(step, steps, depth) for step in range(steps)]
    assert counts[: steps // 3] == [0] * (steps // 3)
    assert counts[-(-steps // 3)] >= 1
    assert counts[-(-2 * steps // 3) :] == [depth] * (steps // 3)
    assert counts == sorted(counts)


def test_with_enough_steps_layers_thaw_one_by_one() -> None:
    assert sorted({thawed(step, 300, 13) for step in range(300)}) == list(range(14))


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_layer_is_bit_identical_and_in_eval_until_its_stage_and_then_trains(kind: str, tmp_path: Path) -> None:
    fit = gradual(tmp_path, kind)
    moves = Moves(fit.network.backbone)
    fit.run([Watch(moves.see)])
    depth = len(moves.moved[0])
    for step in range(1, STEPS + 1):
        trained = thawed(step - 1, STEPS, depth)
        assert moves.moved[step] == [False] * (depth - trained) + [True] * trained
    in_training = {step: thawed(step - 1, STEPS, depth) for step in range(1, STEPS + 1) if step % STEPS_AN_EPOCH}
    for step, count in in_training.items():  # after an epoch's last step all modules are in eval, for validation
        assert moves.in_training[step] == [False] * (depth - count) + [True] * count


def test_statistics_of_a_frozen_batch_norm_do_not_move_and_of_a_thawed_one_do(tmp_path: Path) -> None:
    fit = gradual(tmp_path, "image")
    norm: Any = fit.network.backbone.get_submodule("bn1")
    before, seen = norm.running_mean.clone(), {}

    def see(step: int) -> None:
        seen[step] = torch.equal(norm.running_mean, before)

    fit.run([Watch(see)])
    assert seen[STEPS // 2] is True
    assert seen[STEPS] is False


def test_the_metrics_show_the_rates_of_the_groups_that_train(tmp_path: Path) -> None:
    fit = gradual(tmp_path, training=TRAINING.model_copy(update={"scheduler": "constant", "layer_decay": 0.1})).run()
    rates = [epoch["lr"] for epoch in fit.epochs()]
    assert rates[0] == rates[1] == {"head": 1e-2}
    assert rates[2] == pytest.approx({"backbone.2": 1e-3, "head": 1e-2})
    assert rates[3] == pytest.approx({"backbone.2": 1e-3, "backbone.1": 1e-4, "head": 1e-2})
    assert rates[4] == pytest.approx({"backbone.2": 1e-3, "backbone.1": 1e-4, "backbone.0": 1e-5, "head": 1e-2})


def test_a_layer_that_thaws_begins_at_the_rate_of_that_moment(tmp_path: Path) -> None:
    fit = gradual(tmp_path, training=TRAINING.model_copy(update={"scheduler": "linear"})).run()
    rates = [epoch["lr"] for epoch in fit.epochs()]
    left = [1 - (epoch + 1) / 6 for epoch in range(6)]
    assert [rate["head"] for rate in rates] == pytest.approx([1e-2 * factor for factor in left])
    assert [rate.get("backbone.2") for rate in rates[2:]] == pytest.approx([1e-3 * factor for factor in left[2:]])


def test_each_stage_is_told_in_the_jobs_history(tmp_path: Path) -> None:
    told = [line for line in gradual(tmp_path).run().log() if "unfrozen" in line]
    assert told == [
        "step 6 of 18: unfrozen down to backbone.2",
        "step 9 of 18: unfrozen down to backbone.1",
        "step 12 of 18: unfrozen down to backbone.0",
    ]


def test_patience_does_not_count_before_everything_is_unfrozen(tmp_path: Path) -> None:
    still = {"head_lr": 1e-12, "backbone_lr": 1e-12, "max_epochs": 9, "early_stopping": EarlyStopping(patience=1)}
    fit = gradual(tmp_path, training=TRAINING.model_copy(update=still)).run()
    assert len(fit.epochs()) == 7  # all is unfrozen from the seventh on, and that one is no better


def test_at_the_end_everything_trains(tmp_path: Path) -> None:
    fit = gradual(tmp_path).run()
    assert all(parameter.requires_grad for parameter in fit.network.parameters())
