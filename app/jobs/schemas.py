"""Jobs as clients see them."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from app.datasets.schemas import ErrorInfo
from app.deps import Closed, PageQuery, Time, rfc3339, rfc3339_or_none
from models_store.database.tables import EventRow, JobRow

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class JobsQuery(PageQuery):
    """Which jobs are wanted."""

    status: Status | None = None
    dataset: str | None = Field(None, max_length=100)


class EventsQuery(Closed):
    """Which events are wanted."""

    limit: int = Field(100, ge=1, le=100)
    after: int = Field(0, ge=0, lt=2**63, description="Id of the last event that you have.")


class Decision(BaseModel):
    """Which strategy was taken and why."""

    strategy: str = Field(examples=["freeze"])
    reason: str = Field(examples=["244 training examples in 2 classes: under 2,000 the backbone stays frozen."])
    evidence: dict[str, Any] | None = None


class Job(BaseModel):
    """A fine-tuning."""

    id: str = Field(examples=["job_01kaq3v9c0xg2f6n6q1w9zr8ya"])
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    name: str
    status: Status
    dataset: str
    backbone: str | None
    config: dict[str, Any] = Field(description="The request with every default resolved.")
    decision: Decision | None = Field(description="null until it is made.")
    progress: dict[str, Any] | None = Field(
        examples=[{"phase": "training", "epoch": 3, "max_epochs": 10, "fraction": 0.31, "eta_seconds": 12.4}]
    )
    metrics: dict[str, Any] | None = Field(examples=[{"train_loss": 0.21, "val_loss": 0.25, "val_accuracy": 0.93}])
    best: dict[str, Any] | None = Field(examples=[{"epoch": 2, "val_loss": 0.24, "val_accuracy": 0.94}])
    model: str | None = Field(examples=["mdl_01kaq4f1m2b6w8p3s5t7v9x0z1"])
    error: ErrorInfo | None
    attempt: int
    cancel_requested: bool
    metadata: dict[str, str]
    created_at: Time
    started_at: Time | None
    finished_at: Time | None

    @classmethod
    def of(cls, row: JobRow) -> Self:
        """The row as clients see it."""
        same = ("id", "name", "backbone", "config", "decision", "progress", "metrics", "best", "error", "attempt")
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in same},
                "status": row.state,
                "dataset": row.dataset_id,
                "model": (row.result or {}).get("model"),
                "cancel_requested": row.cancel_requested,
                "metadata": row.extra,
                "created_at": rfc3339(row.created_at),
                "started_at": rfc3339_or_none(row.started_at),
                "finished_at": rfc3339_or_none(row.finished_at),
            }
        )


class Event(BaseModel):
    """Something that happened to a job."""

    id: int
    type: Literal["status", "progress", "metrics", "log"]
    data: dict[str, Any]
    created_at: Time

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """The row as clients see it."""
        return cls.model_validate(
            {
                "id": row.id,
                "type": row.type,
                "data": row.data,
                "created_at": rfc3339(row.created_at),
            }
        )


class Metrics(BaseModel):
    """The metrics of every finished epoch."""

    epochs: list[dict[str, Any]] = Field(
        examples=[[{"epoch": 0, "train_loss": 0.4, "val_loss": 0.3, "val_accuracy": 0.9, "lr": {"head": 0.001}}]]
    )
