"""How the service is."""

from typing import Literal

from pydantic import BaseModel, Field

from app.deps import Time


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether the service can do its work."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, Literal["ok", "failed"]] = Field(
        examples=[{"database": "ok", "broker": "ok", "worker": "failed"}]
    )


class Worker(BaseModel):
    """A worker that was seen lately."""

    id: str
    lane: str = Field(examples=["training"])
    device: str = Field(examples=["cpu"])
    labels: list[str] = Field(description="What jobs may require of it.", examples=[["cpu", "memory=64g"]])
    draining: bool = Field(description="It finishes what it runs, takes nothing more, and ends.")
    job: str | None = Field(description="What it works on now.")
    started_at: Time
    seen_at: Time


class BackboneInfo(BaseModel):
    """A pretrained model that a job can start from."""

    backbone: str = Field(examples=["torchvision/squeezenet1_1"])
    task: str | None = Field(description="Null where only loading it tells.", examples=["image-classification"])
    weights: list[str] = Field(examples=[["IMAGENET1K_V1"]])
    available: list[str] = Field(description="Weights that can be loaded here without a hub.")
