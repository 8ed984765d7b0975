"""What is on the service beside data sets, jobs and models."""

from dataclasses import dataclass

from finetuned.client.record import Record


@dataclass(frozen=True)
class Checkpoint(Record):
    """An uploaded checkpoint: its parts, and those that its architecture fits."""

    id: str
    name: str
    architecture: str
    submodules: list[str]
    fits: list[str]
    default_submodule: str | None
    sha256: str
    bytes: int
    created_at: str


@dataclass(frozen=True)
class Weights(Record):
    """Pretrained weights that can be loaded without a hub."""

    backbone: str
    weights: str
    sha256: str
    bytes: int
    mapped: str
    added_at: str


@dataclass(frozen=True)
class Backbone(Record):
    """A pretrained model that a job can start from."""

    backbone: str
    task: str | None
    weights: list[str]
    available: list[str]


@dataclass(frozen=True)
class Key(Record):
    """An API key; ``key`` itself is there once, when it was made."""

    id: str
    prefix: str
    owner: str
    role: str
    created_at: str
    key: str | None


@dataclass(frozen=True)
class Worker(Record):
    """A worker that was seen lately."""

    id: str
    lane: str
    device: str
    job: str | None
    started_at: str
    seen_at: str


@dataclass(frozen=True)
class Stored(Record):
    """Objects of one kind."""

    count: int
    bytes: int


@dataclass(frozen=True)
class Usage(Record, single={"datasets": Stored, "checkpoints": Stored, "models": Stored}):
    """What one owner has, and may have."""

    owner: str
    datasets: Stored
    checkpoints: Stored
    models: Stored
    stored_bytes: int
    max_stored_bytes: int | None
    active_jobs: int
    max_active_jobs: int


@dataclass(frozen=True)
class AuditEntry(Record):
    """Who did what, when, from which request."""

    id: str
    actor: str
    role: str
    key: str | None
    action: str
    object: str
    owner: str | None
    request_id: str | None
    created_at: str
