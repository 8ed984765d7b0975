"""Data sets, jobs, models and predictions as the service answers them."""

from dataclasses import dataclass

from finetuned.client.errors import Json
from finetuned.client.record import Record


@dataclass(frozen=True)
class Problem(Record):
    """Why something failed, or what is the matter with an item."""

    code: str
    message: str
    param: str | None
    item: str | None


@dataclass(frozen=True)
class ClassCount(Record):
    """A class and how many items it has."""

    label: str
    count: int


@dataclass(frozen=True)
class DatasetRecord(
    Record, single={"error": Problem}, several={"classes": ClassCount, "problems": Problem, "warnings": Problem}
):
    """A data set."""

    id: str
    name: str
    task: str | None
    status: str
    classes: tuple[ClassCount, ...]
    splits: dict[str, int]
    fingerprint: str | None
    bytes: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    error: Problem | None
    created_at: str


@dataclass(frozen=True)
class DatasetItem(Record):
    """One labelled item; ``text`` only for texts."""

    id: str
    name: str
    label: str
    split: str
    text: str | None


@dataclass(frozen=True)
class Alternative(Record):
    """A strategy that a job could have had instead."""

    strategy: str
    reason: str


@dataclass(frozen=True)
class Decision(Record, several={"alternatives": Alternative}):
    """Which strategy was taken and why."""

    strategy: str
    reason: str
    evidence: Json | None
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True)
class Progress(Record):
    """How far a running job is."""

    phase: str
    epoch: int | None
    max_epochs: int | None
    fraction: float | None
    eta_seconds: float | None


@dataclass(frozen=True)
class Measurement(Record):
    """One job on the worker that was free, measured by real steps; seconds, bytes, items."""

    seconds_per_epoch: float
    seconds_per_step: float
    steps_per_epoch: int
    features_seconds: float
    eta_seconds: float
    peak_memory_bytes: int
    largest_batch_size: int
    device: str


@dataclass(frozen=True)
class Preflight(Record, single={"decision": Decision, "measurement": Measurement}):
    """What a job would do and take."""

    decision: Decision
    config: Json
    measurement: Measurement | None
    note: str | None


@dataclass(frozen=True)
class Mistake(Record):
    """An item of which the model is sure, and its label says otherwise: one of the two is wrong."""

    item: str
    name: str
    split: str
    label: str
    predicted: str
    score: float


@dataclass(frozen=True)
class ClassFigures(Record):
    """How well one class is told from the others."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Report(Record, several={"classes": ClassFigures, "mistakes": Mistake}):
    """How good a model is on a data set; figures of single splits are under ``splits``."""

    model: str
    dataset: str
    split: str
    items: int
    accuracy: float
    loss: float
    labels: list[str]
    macro: dict[str, float]
    classes: tuple[ClassFigures, ...]
    confusion_matrix: list[list[int]] | None
    calibration: Json
    mistakes: tuple[Mistake, ...]
    splits: Json


@dataclass(frozen=True)
class JobRecord(
    Record,
    single={"decision": Decision, "progress": Progress, "report": Report, "error": Problem},
    renamed={"model_id": "model"},
):
    """A fine-tuning, or the evaluation of a model, as it was when it was asked for."""

    id: str
    object: str
    name: str
    status: str
    dataset: str
    backbone: str | None
    config: Json
    decision: Decision | None
    progress: Progress | None
    metrics: dict[str, float] | None
    best: dict[str, float] | None
    model_id: str | None
    report: Report | None
    error: Problem | None
    attempt: int
    cancel_requested: bool
    metadata: dict[str, str]
    created_at: str
    started_at: str | None
    finished_at: str | None

    @property
    def ended(self) -> bool:
        """Whether nothing can change any more."""
        return self.status in {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True)
class Event(Record):
    """Something that happened to a job; ``type`` is ``status``, ``progress``, ``metrics`` or ``log``."""

    id: int
    type: str
    data: Json
    created_at: str | None


@dataclass(frozen=True)
class Identified(Record):
    """What is known by its id, or by ``name@alias``, alone."""

    id: str


@dataclass(frozen=True)
class ModelRecord(Identified):
    """A published model."""

    name: str
    version: int
    aliases: list[str]
    task: str
    job: str
    dataset: str
    backbone: str
    weights: str | None
    labels: list[str]
    preprocessing: Json
    metrics: dict[str, float]
    temperature: float
    parity: Json | None
    freeze_proof: Json | None
    bytes: int
    created_at: str


@dataclass(frozen=True)
class Score(Record):
    """A class and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Prediction(Record, single={"error": Problem}, several={"scores": Score}):
    """What a model says of one input; or, in ``error``, why it could not read that one."""

    label: str | None
    score: float | None
    scores: tuple[Score, ...]
    logits: list[float] | None
    confidence: float | None
    abstained: bool | None
    diagnostics: Json | None
    error: Problem | None
