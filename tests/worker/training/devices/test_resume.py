"""A training on several devices that is interrupted ends as if it had not been; what ends it is told as it is."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from finetuned_test_plugins import Words

from models_store.errors import InvalidError
from models_store.mirror import Mirror
from tests.e2e.service import until
from tests.models_store.samples import tiny_text_model
from tests.worker.training.devices.jobs import epochs, job, trained
from tests.worker.training.tiny_fit import same
from tests.worker.training.trainable import Trainable
from worker.attempt import Attempt, CancelledByOwnerError, StoppedPolitelyError

LONG = {"max_epochs": 30, "optimizer": "adamw", "head_lr": 1e-2, "backbone_lr": 1e-2}


def texts(folder: Path, patch: pytest.MonkeyPatch) -> Trainable:
    """A job that draws dropout at every step, and saves a checkpoint after each."""
    made = job(folder, patch, 2, LONG, interval=-1, module=Words(), backbone="hf/tiny/bert")
    torch.manual_seed(0)
    Mirror(made.attempt.settings.store_dir).add("hf/tiny/bert", "DEFAULT", tiny_text_model(folder / "source"))
    return made


def when_it_has_trained(attempt: Attempt, steps: int, act: Callable[[], None]) -> None:
    """Do something from beside once a checkpoint of so many steps is there."""

    def trained_so_far() -> bool:
        kept = (attempt.row().checkpoint or {}).get("kept", [])
        return bool(kept and kept[0]["step"] >= steps)

    def watch() -> None:
        until(trained_so_far, 120, f"{steps} steps are done", every=0.02)
        act()

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.slow
def test_a_training_that_was_stopped_politely_goes_on_to_the_same_weights_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = texts(tmp_path / "whole", monkeypatch)
    expected = trained(whole)
    broken = texts(tmp_path / "broken", monkeypatch)
    when_it_has_trained(broken.attempt, 7, lambda: setattr(broken.attempt, "stop_requested", True))
    with pytest.raises(StoppedPolitelyError):
        trained(broken)
    step = (broken.attempt.row().checkpoint or {})["kept"][0]["step"]
    assert 7 <= step < 150
    broken.attempt.stop_requested = False
    assert same(trained(broken), expected)
    told, uninterrupted = epochs(broken), epochs(whole)
    assert [one["epoch"] for one in told] == list(range(30))
    losses = [[one["train_loss"] for one in some] for some in (told, uninterrupted)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.slow
def test_a_cancelled_training_ends_within_five_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = texts(tmp_path, monkeypatch)
    asked: list[float] = []

    def cancel() -> None:
        asked.append(time.monotonic())
        made.attempt.cancel_requested = True

    when_it_has_trained(made.attempt, 3, cancel)
    with pytest.raises(CancelledByOwnerError):
        trained(made)
    assert time.monotonic() - asked[0] < 5


@pytest.mark.slow
def test_a_device_with_too_little_memory_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(torch.OutOfMemoryError, match="room for two"):
        trained(job(tmp_path, monkeypatch, 2, {"batch_size": 6}, backbone="plugin/hungry"))


@pytest.mark.slow
def test_an_error_in_all_ranks_is_told_once_and_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidError, match="a bug in the module") as failure:
        trained(job(tmp_path, monkeypatch, 2, {}, backbone="plugin/raising"))
    assert failure.value.code == "internal_error"
