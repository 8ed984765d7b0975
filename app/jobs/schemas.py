"""Jobs as clients see them."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from app.datasets.schemas import ErrorInfo
from app.deps import Closed, PageQuery, Time, rfc3339, rfc3339_or_none
from app.reports import Report
from models_store import jobs, labels
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


class Alternative(BaseModel):
    """A strategy that this job could have had instead."""

    strategy: str = Field(examples=["full"])
    reason: str = Field(
        examples=["trains everything with differential rates: the slowest, and the most that can adapt"]
    )


class Decision(BaseModel):
    """Which strategy was taken and why."""

    strategy: str = Field(examples=["freeze"])
    reason: str = Field(examples=["244 training examples in 2 classes: under 2,000 the backbone stays frozen."])
    evidence: dict[str, Any] | None = Field(
        None,
        description="Sizes, and validation accuracies of simple classifiers on frozen features; null: not measured.",
        examples=[
            {
                "training_examples": 244,
                "classes": 2,
                "majority": 0.5425,
                "probe_accuracy": 0.9412,
                "probe_accuracy_half": 0.9346,
                "knn_accuracy": 0.9281,
                "probed_examples": 244,
                "validated_examples": 153,
            }
        ],
    )
    alternatives: list[Alternative] = Field(default_factory=list, description="What else was possible.")


class Measurement(BaseModel):
    """One job on the worker that was free, measured by real steps; seconds, bytes, items."""

    seconds_per_epoch: float = Field(examples=[4.2])
    seconds_per_step: float
    steps_per_epoch: int
    features_seconds: float = Field(description="The one pass of a frozen backbone; 0 where it trains.")
    eta_seconds: float = Field(description="All epochs, without early stopping, the job's start and its export.")
    peak_memory_bytes: int
    largest_batch_size: int = Field(description="The largest power of two up to 1,024 that the free memory holds.")
    device: str = Field(examples=["cpu"])


class Preflight(BaseModel):
    """What a job would do and take."""

    decision: Decision
    config: dict[str, Any] = Field(description="The request with every default resolved.")
    measurement: Measurement | None = Field(description="null where no worker was free to measure; see `note`.")
    note: str | None = Field(None, examples=["No worker is free, so nothing was measured."])


class Job(BaseModel):
    """A fine-tuning, or the evaluation of a model."""

    id: str = Field(examples=["job_01kaq3v9c0xg2f6n6q1w9zr8ya"])
    object: Literal["fine_tuning.job", "evaluation.job"] = "fine_tuning.job"
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
    model: str | None = Field(
        description="What a fine-tuning made, or what an evaluation measures.",
        examples=["mdl_01kaq4f1m2b6w8p3s5t7v9x0z1"],
    )
    report: Report | None = Field(None, description="What an evaluation found; left out of lists.")
    error: ErrorInfo | None
    attempt: int
    cancel_requested: bool
    priority: int = Field(description="Higher goes first; above 0 is for admins.", examples=[0])
    requires: list[str] = Field(description="Labels that its worker must have.", examples=[["gpu", "memory>=32g"]])
    metadata: dict[str, str]
    created_at: Time
    started_at: Time | None
    finished_at: Time | None

    @classmethod
    def of(cls, row: JobRow, *, with_report: bool = True) -> Self:
        """The row as clients see it."""
        evaluates = row.kind == jobs.EVALUATE
        result = row.result or {}
        same = (
            "id",
            "name",
            "backbone",
            "config",
            "decision",
            "progress",
            "metrics",
            "best",
            "error",
            "attempt",
            "priority",
        )
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in same},
                "object": "evaluation.job" if evaluates else "fine_tuning.job",
                "status": row.state,
                "dataset": row.dataset_id,
                "model": row.config["model"] if evaluates else result.get("model"),
                "report": result.get("report") if with_report else None,
                "cancel_requested": row.cancel_requested,
                "requires": labels.listed(row.requires),
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
