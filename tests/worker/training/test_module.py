"""Loss, optimizer and schedule, each seen at work in a Trainer's own run."""

import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from models_store.backbones.family import Batch
from models_store.errors import InvalidError
from models_store.spec import EarlyStopping, Training
from tests.worker.training.tiny_fit import STEPS_AN_EPOCH, Fit, Watch, new_attempt, text_backbone
from worker.training.data import FeatureRows, Loader
from worker.training.module import Finetuner, HeadOnFeatures
from worker.training.optimizing import schedule

RATE, DECAY = 0.1, 0.5
PLAIN: dict[str, Any] = {"max_epochs": 1, "head_lr": RATE, "scheduler": "constant", "weight_decay": DECAY}
FEATURES = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
LABELS = torch.tensor([0, 1, 2, 0, 0, 0])


class Strict(HeadOnFeatures):
    """Refuses a name that it does not know, as many a library's forward does."""

    def forward(self, batch: Batch) -> Tensor:
        assert batch.keys() == {"features"}
        return super().forward(batch)


def head() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 3)


def one_step(training: Training, weights: Tensor | None = None) -> tuple[nn.Linear, Finetuner, pl.Trainer]:
    """A head after one optimizer step on all items at once."""
    trained = head()
    groups = [{"name": "head", "params": [trained.weight], "lr": RATE}]
    groups += [{"name": "head", "params": [trained.bias], "lr": RATE, "weight_decay": 0.0}]
    module = Finetuner(Strict(trained), groups, training, 3, weights)
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=training.gradient_clip_val,
    )
    rows = FeatureRows(FEATURES, LABELS)
    trainer.fit(module, Loader(6, rows, 6, seed=0), Loader(6, rows, 6))
    return trained, module, trainer


def loss(model: nn.Linear, **options: Any) -> Tensor:
    return F.cross_entropy(model(FEATURES), LABELS, **options)


def gradient(**options: Any) -> tuple[Tensor, Tensor]:
    model = head()
    loss(model, **options).backward()  # type: ignore[no-untyped-call]
    assert model.weight.grad is not None
    assert model.bias.grad is not None
    return model.weight.grad, model.bias.grad


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_one_step_of_each_optimizer_is_the_step_of_its_definition(optimizer: str) -> None:
    trained, _, _ = one_step(Training.model_validate({**PLAIN, "optimizer": optimizer, "gradient_clip_val": None}))
    weight, slope = head().weight.detach(), gradient()[0]
    decayed = slope + DECAY * weight  # adam and sgd: decay as a part of the gradient
    expected = {
        "adamw": weight - RATE * DECAY * weight - RATE * slope / (slope.abs() + 1e-8),
        "adam": weight - RATE * decayed / (decayed.abs() + 1e-8),
        "sgd": weight - RATE * decayed,
    }
    assert torch.allclose(trained.weight, expected[optimizer], atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_group_that_is_not_to_decay_does_not(optimizer: str) -> None:
    trained, _, _ = one_step(Training.model_validate({**PLAIN, "optimizer": optimizer, "gradient_clip_val": None}))
    bias, slope = head().bias.detach(), gradient()[1]
    step = slope if optimizer == "sgd" else slope / (slope.abs() + 1e-8)
    assert torch.allclose(trained.bias, bias - RATE * step, atol=1e-6)


def test_gradients_are_clipped_to_a_norm_of_one_by_default_and_to_what_a_job_sets() -> None:
    assert Training().gradient_clip_val == 1.0
    norm = float(torch.cat([part.flatten() for part in gradient()]).norm())
    still = {**PLAIN, "optimizer": "sgd", "weight_decay": 0.0}

    def moved(**more: Any) -> float:
        trained, _, _ = one_step(Training.model_validate({**still, **more}))
        before = head()
        return math.hypot(float((trained.weight - before.weight).norm()), float((trained.bias - before.bias).norm()))

    assert moved(gradient_clip_val=None) == pytest.approx(RATE * norm, rel=1e-4)
    assert moved(gradient_clip_val=norm / 10) == pytest.approx(RATE * norm / 10, rel=1e-3)


def test_label_smoothing_and_class_weights_are_in_the_training_loss_alone() -> None:
    weights = torch.tensor([0.5, 2.0, 2.0])
    options = {**PLAIN, "label_smoothing": 0.2, "gradient_clip_val": None, "optimizer": "sgd", "weight_decay": 0.0}
    trained, module, trainer = one_step(Training.model_validate(options), weights)
    slope = gradient(weight=weights, label_smoothing=0.2)[0]
    assert torch.allclose(trained.weight, head().weight.detach() - RATE * slope, atol=1e-6)
    assert module.take_train_loss() == pytest.approx(float(loss(head(), weight=weights, label_smoothing=0.2)), abs=1e-6)
    assert float(trainer.callback_metrics["val_loss"]) == pytest.approx(float(loss(trained)), abs=1e-6)


def test_the_validation_accuracy_is_exact() -> None:
    trained, _, trainer = one_step(Training.model_validate(PLAIN))
    right = float((trained(FEATURES).argmax(1) == LABELS).float().mean())
    assert float(trainer.callback_metrics["val_accuracy"]) == pytest.approx(right)


def test_a_loss_that_is_no_number_ends_the_job_by_name() -> None:
    with pytest.raises(InvalidError) as ended:
        one_step(Training.model_validate(PLAIN), torch.tensor([math.nan, 1.0, 1.0]))
    assert ended.value.code == "diverged"


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("cosine", [0.5 * (1 + math.cos(math.pi * step / 6)) for step in range(1, 7)]),
        ("linear", [1 - step / 6 for step in range(1, 7)]),
        ("constant", [1.0] * 6),
    ],
)
def test_the_rate_follows_the_schedule_step_by_step(scheduler: str, expected: list[float], tmp_path: Path) -> None:
    assert rates(tmp_path, scheduler=scheduler) == pytest.approx([0.01 * factor for factor in expected], abs=1e-9)


def test_a_warm_up_comes_before_the_decay(tmp_path: Path) -> None:
    seen = rates(tmp_path, scheduler="linear", warmup_fraction=0.5)
    assert seen == pytest.approx([0.01 * factor for factor in (2 / 3, 1, 1, 2 / 3, 1 / 3, 0)], abs=1e-9)


def test_the_first_step_of_a_warm_up_is_taken_at_a_part_of_the_rate() -> None:
    factor = schedule(Training(warmup_fraction=0.5), 8)
    assert [factor(step) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_cosine_is_the_default() -> None:
    assert Training().scheduler == "cosine"
    assert schedule(Training(), 4)(2) == pytest.approx(0.5)


def test_three_epochs_without_a_better_val_loss_end_a_training_by_default(tmp_path: Path) -> None:
    assert Training().early_stopping == EarlyStopping(monitor="val_loss", patience=3)
    training = Training(max_epochs=20, head_lr=1e-12)
    fit = Fit(new_attempt(tmp_path), text_backbone(tmp_path), "freeze", training).run()
    assert len(fit.epochs()) == 4


def rates(folder: Path, **training: Any) -> list[float]:
    """The head's rate after each of six steps of a real training."""
    settings = Training.model_validate({"max_epochs": 2, "head_lr": 0.01, "early_stopping": None, **training})
    fit = Fit(new_attempt(folder), text_backbone(folder), "freeze", settings)
    seen: dict[int, float] = {}

    def see(step: int) -> None:
        seen[step] = fit.module.rates()["head"]

    fit.run([Watch(see)])
    assert len(seen) == 2 * STEPS_AN_EPOCH + 1
    return [seen[step] for step in sorted(seen) if step]
