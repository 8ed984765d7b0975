"""Whatever the strategy, a training that is cut off after any step and resumed ends the same to the bit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models_store.backbones.family import Backbone
from models_store.spec import Lora, Training
from models_store.trunks import backbone_sha256
from tests.worker.training.tiny_fit import (
    STEPS_AN_EPOCH,
    Cut,
    Fit,
    Watch,
    image_backbone,
    new_attempt,
    same,
    text_backbone,
)
from worker.attempt import Attempt
from worker.training.strategies.gradual import thawed
from worker.training.strategies.layers import layers

TRAINING = Training(max_epochs=4, head_lr=1e-2, backbone_lr=1e-3, lora=Lora(dropout=0.3), seed=3)
DECAYED = TRAINING.model_copy(update={"layer_decay": 0.5})
STEPS = 4 * STEPS_AN_EPOCH
Case = tuple[str, Callable[[Path], Backbone], Training]
CASES: dict[str, Case] = {
    "gradual text": ("gradual", text_backbone, DECAYED),
    "gradual image": ("gradual", image_backbone, TRAINING),
    "lora": ("lora", text_backbone, TRAINING),
    "layer decay": ("full", text_backbone, DECAYED),
    "freeze image": ("freeze", image_backbone, TRAINING),
}
QUICK = {"gradual text": (1, 3, 5, 6, 8), "gradual image": (5, 7), "layer decay": (5,), "lora": (1, 8)}
CUTS = [
    pytest.param(case, step, marks=[] if step in steps else [pytest.mark.slow])
    for case, steps in QUICK.items()
    for step in range(1, STEPS + 1)
]


def fit(case: str, attempt: Attempt, cut_after: int | None = None) -> Fit:
    strategy, backbone, training = CASES[case]
    return Fit(attempt, backbone(attempt.directory), strategy, training, cut_after)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Fit]:
    """Each case's training without a cut, made once."""
    made: dict[str, Fit] = {}

    def get(case: str) -> Fit:
        if case not in made:
            made[case] = fit(case, new_attempt(tmp_path_factory.mktemp("whole"))).run()
        return made[case]

    return get


@pytest.mark.parametrize(("case", "step"), CUTS)
def test_cut_off_after_a_step(case: str, step: int, uninterrupted: Callable[[str], Fit], tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path)
    with pytest.raises(Cut):
        fit(case, attempt, cut_after=step).run()
    resumed = fit(case, attempt).run()
    assert same(resumed.state(), uninterrupted(case).state())
    assert resumed.epochs() == uninterrupted(case).epochs()


def test_each_stage_is_told_once_also_across_a_resume(tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path)
    with pytest.raises(Cut):
        fit("gradual text", attempt, cut_after=6).run()
    told = [line for line in fit("gradual text", attempt).run().log() if "unfrozen" in line]
    assert [line.rpartition(" ")[2] for line in told] == ["backbone.2", "backbone.1", "backbone.0"]


def test_what_had_not_thawed_is_bit_identical_across_a_resume(tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path)
    with pytest.raises(Cut):
        fit("gradual image", attempt, cut_after=5).run()
    resumed = fit("gradual image", attempt)
    found = layers(resumed.network.backbone)
    before = [backbone_sha256(module) for module in found[0].modules]
    seen: dict[int, bool] = {}

    def see(step: int) -> None:
        seen[step] = [backbone_sha256(module) for module in found[0].modules] == before

    resumed.run([Watch(see)])
    assert seen == {step: thawed(step - 1, STEPS, len(found)) < len(found) for step in range(4, STEPS + 1)}


def test_a_frozen_backbone_with_batch_norm_is_bit_identical_across_validation_and_resume(tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path)
    started = fit("freeze image", attempt, cut_after=7)
    before = backbone_sha256(started.network.backbone)
    with pytest.raises(Cut):
        started.run()
    resumed = fit("freeze image", attempt).run()
    assert backbone_sha256(started.network.backbone) == backbone_sha256(resumed.network.backbone) == before
