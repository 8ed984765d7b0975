"""What a fine-tune job is asked: the body of ``POST /jobs`` and, with every default filled in, a job's config."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models_store.labels import NEED

_NO_NUL = r"^[^\x00]*$"  # PostgreSQL stores every other character
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_NO_NUL)]
Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
MetadataKey = Annotated[str, StringConstraints(max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
Strategy = Literal["auto", "freeze", "full", "gradual", "lora"]
Need = Annotated[str, StringConstraints(pattern=NEED, max_length=100)]
HIGHEST: Final = 10
LOWEST: Final = -10


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EarlyStopping(_Closed):
    """Stop when the monitored value has not improved for ``patience`` epochs."""

    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    patience: int = Field(3, ge=1, le=1000)


class Lora(_Closed):
    """Low-rank adapters on a text backbone (Hu et al. 2021): rank, scale (``alpha / r``) and dropout on their input."""

    r: int = Field(8, ge=1, le=256)
    alpha: float = Field(16.0, gt=0, le=4096, allow_inf_nan=False)
    dropout: Fraction = 0.0


class Training(_Closed):
    """How the Trainer is set up. Rates are per optimizer step; fractions are of all steps."""

    max_epochs: int = Field(10, ge=1, le=1000)
    batch_size: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = Field(
        32, description="Global batch size, also on several devices; `auto` takes what the device's memory holds."
    )
    head_lr: Rate = 1e-3
    backbone_lr: Rate = 1e-5
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor on backbone_lr from each layer to the one below it; 1 leaves it even."
    )
    weight_decay: float = Field(0.01, ge=0, le=10, allow_inf_nan=False)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_fraction: Fraction = 0.0
    label_smoothing: Fraction = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    sampling: Literal["shuffled", "balanced"] = Field("shuffled", description="`balanced` draws each class as often.")
    augmentation: Literal["none", "light", "strong"] = "none"
    lora: Lora | None = Field(None, description="Of the strategy `lora` alone; its defaults if omitted.")
    early_stopping: EarlyStopping | None = EarlyStopping()
    gradient_clip_val: float | None = Field(1.0, gt=0, le=1e6, allow_inf_nan=False)
    precision: Literal["auto", "32", 32, "16-mixed", "bf16-mixed"] = "auto"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(
        1,
        ge=1,
        le=64,
        description="GPUs, or processes on a CPU, that share every batch; a head on cached features trains on one.",
    )
    seed: int = Field(0, ge=0, lt=2**32)


class PreprocessingOptions(_Closed):
    """What a job may choose about its input; everything else is the pretrained model's own."""

    max_length: int | None = Field(None, ge=2, le=1_000_000, description="Tokens a text; the model's limit if omitted.")
    pooling: Literal["cls", "mean", "last"] | None = Field(None, description="The model's own if omitted.")


class JobSpec(_Closed):
    """One fine-tuning."""

    dataset: str = Field(max_length=100, pattern=_NO_NUL, examples=["ds_01kaq3v9c0xg2f6n6q1w9zr8ya"])
    backbone: str = Field(max_length=200, examples=["torchvision/resnet50", "timm/tf_efficientnet_lite0"])
    submodule: str | None = Field(
        None, max_length=200, pattern=_NO_NUL, description="Part of a checkpoint; the one that fits if omitted."
    )
    weights: str | None = Field("DEFAULT", max_length=200, description="null for random weights.")
    strategy: Strategy = "auto"
    name: Name | None = None
    metadata: dict[MetadataKey, MetadataValue] = Field(default_factory=dict, max_length=16)
    training: Training = Training()
    preprocessing: PreprocessingOptions = PreprocessingOptions()
    priority: int = Field(
        0,
        ge=LOWEST,
        le=HIGHEST,
        description="Jobs of a higher priority go first, whoever's they are: lower yours to let others pass. "
        "Above 0 is for admins.",
    )
    requires: list[Need] = Field(
        default_factory=list,
        max_length=8,
        description="Labels that a worker must have: names, or amounts as in `memory>=32g`; GET /workers shows them. "
        "`accelerator: gpu` adds `gpu`.",
        examples=[["gpu", "memory>=32g"]],
    )
