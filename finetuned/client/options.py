"""What may be said of a training; every default is the service's own."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from finetuned.client.errors import Json
from finetuned.client.requests import given

Strategy = Literal["auto", "freeze", "full", "gradual", "lora"]


class EarlyStopping(TypedDict, total=False):
    """Stop when the monitored value has not improved for ``patience`` epochs."""

    monitor: Literal["val_loss", "val_accuracy"]
    patience: int


class Lora(TypedDict, total=False):
    """Low-rank adapters: rank, scale, and dropout on their input."""

    r: int
    alpha: float
    dropout: float


class Training(TypedDict, total=False):
    """How the Trainer is set up."""

    max_epochs: int
    batch_size: int | Literal["auto"]
    head_lr: float
    backbone_lr: float
    layer_decay: float
    weight_decay: float
    optimizer: Literal["adamw", "adam", "sgd"]
    scheduler: Literal["cosine", "linear", "constant"]
    warmup_fraction: float
    label_smoothing: float
    class_weights: Literal["none", "balanced"]
    sampling: Literal["shuffled", "balanced"]
    augmentation: Literal["none", "light", "strong"]
    lora: Lora | None
    early_stopping: EarlyStopping | None
    gradient_clip_val: float | None
    precision: Literal["auto", "32", "16-mixed", "bf16-mixed"]
    accelerator: Literal["auto", "cpu", "gpu"]
    devices: int
    seed: int


class Preprocessing(TypedDict, total=False):
    """What a job may choose about its input."""

    max_length: int | None
    pooling: Literal["cls", "mean", "last"] | None


class PredictOptions(TypedDict, total=False):
    """How predictions are wanted: how many classes, the raw logits too, no label below a confidence."""

    top_k: int | None
    logits: bool | None
    abstain_below: float | None


def job_body(backbone: str, weights: str | None, training: Mapping[str, Any], **options: Any) -> Json:
    """The body of ``POST /jobs`` but for the data set; ``weights`` of None are random ones."""
    chosen = {} if weights == "DEFAULT" else {"weights": weights}
    return {"backbone": backbone, **chosen, **given(**options, training=dict(training) or None)}
