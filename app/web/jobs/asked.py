"""From the fields of the form for a new job to the body that ``POST /jobs`` takes."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import FormData

from app.errors import validated
from models_store.spec import JobSpec

_TRAINING: Final = (
    "max_epochs",
    "batch_size",
    "head_lr",
    "backbone_lr",
    "weight_decay",
    "optimizer",
    "scheduler",
    "augmentation",
    "label_smoothing",
    "class_weights",
    "precision",
    "seed",
)
_PLAIN: Final = ("dataset", "strategy", "name")


def spec(form: FormData) -> JobSpec:
    """What is asked; a field that is empty, or not there, has its default.

    Raises:
        RequestValidationError: a field is wrong.
    """
    given = {name: value.strip() for name, value in form.items() if isinstance(value, str) and value.strip()}
    backbone, _, weights = given.get("backbone", "").partition(" ")
    body: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    body |= {"backbone": backbone, "training": _training(given)}
    if weights:
        body["weights"] = weights
    return validated(JobSpec, body, "body")


def _training(given: Mapping[str, str]) -> dict[str, Any]:
    training: dict[str, Any] = {name: given[name] for name in _TRAINING if name in given}
    if "batch_size" in training:  # a number or a word: a number in letters would be taken as a word
        training["batch_size"] = _whole(training["batch_size"])
    if "patience" in given:
        patience = _whole(given["patience"])
        training["early_stopping"] = {"patience": patience} if patience else None
    return training


def _whole(value: str) -> str | int:
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 12 else value
