"""Models as clients see them."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from app.datasets.schemas import Task
from app.deps import Time, rfc3339
from models_store.database.tables import ModelRow

_FROM_CARD = (
    "labels",
    "preprocessing",
    "metrics",
    "temperature",
    "parity",
    "freeze_proof",
    "weights",
    "dataset_fingerprint",
    "versions",
)


class Model(BaseModel):
    """A published model."""

    id: str = Field(examples=["mdl_01kaq4f1m2b6w8p3s5t7v9x0z1"])
    object: Literal["model"] = "model"
    name: str
    version: int
    aliases: list[str] = Field(examples=[["production"]])
    task: Task
    job: str
    dataset: str
    dataset_fingerprint: str | None = None
    backbone: str
    weights: str | None = None
    labels: list[str] = Field(examples=[["ants", "bees"]])
    preprocessing: dict[str, Any]
    metrics: dict[str, Any] = Field(examples=[{"val_accuracy": 0.95, "val_loss": 0.14, "ece": 0.03}])
    temperature: float = Field(1.0, description="Served scores are softmax(logits / temperature).")
    parity: dict[str, Any] | None = Field(
        None, examples=[{"engine": "torch", "precision": "f32", "max_abs_logit_diff": 1.2e-6, "passed": True}]
    )
    freeze_proof: dict[str, Any] | None = Field(None, examples=[{"backbone_sha256": "9f86…", "unchanged": True}])
    versions: dict[str, Any] | None = Field(None, description="Of the libraries that trained it.")
    bytes: int
    created_at: Time

    @classmethod
    def of(cls, row: ModelRow, aliases: Sequence[str]) -> Self:
        """The row, its card and its aliases as clients see them."""
        return cls.model_validate(
            {
                **{name: row.card[name] for name in _FROM_CARD if name in row.card},
                **{name: getattr(row, name) for name in ("id", "name", "version", "task", "backbone", "bytes")},
                "job": row.job_id,
                "dataset": row.dataset_id,
                "aliases": list(aliases),
                "created_at": rfc3339(row.created_at),
            }
        )
