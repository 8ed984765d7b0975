"""From a job's specification to a row in the queue."""

import hashlib
import json

from app.deps import Services
from app.quotas import check_active_jobs
from models_store import datasets, jobs
from models_store.database.tables import DatasetRow, JobRow
from models_store.errors import ConflictError, InvalidError
from models_store.idempotency import Repeat
from models_store.keys import Caller
from models_store.spec import JobSpec


def create(services: Services, caller: Caller, spec: JobSpec, key: str | None = None) -> JobRow:
    """Check what can be checked cheaply, insert the job, and ring for it after the commit.

    Raises:
        NotFoundError: ``dataset_not_found``.
        ConflictError: ``dataset_failed``.
        InvalidError: ``unknown_backbone``, ``unknown_weights``, ``task_mismatch``, ``idempotency_mismatch``.
        TooManyError: ``too_many_jobs``.
    """
    check_active_jobs(services, caller)
    with services.database.read() as session:
        dataset = datasets.get(session, spec.dataset, owner=caller.sees)
    resolved = _resolved(spec, dataset)
    request = spec.model_dump(mode="json", exclude_unset=True)
    repeat = None if key is None else Repeat(key, _hash(request))
    new = jobs.NewJob(
        kind=jobs.FINE_TUNE,
        owner=caller.owner,
        name=str(resolved.name),
        dataset_id=dataset.id,
        backbone=spec.backbone,
        request=request,
        config=resolved.model_dump(mode="json"),
        metadata=dict(spec.metadata),
    )
    row, is_new = jobs.create(services.database, new, repeat)
    if is_new:
        services.bell.ring(row.id, row.lane)
    return row


def retry(services: Services, caller: Caller, job_id: str) -> JobRow:
    """A new job with the same request, for the same owner.

    Raises:
        FinetunedError: as for :func:`create`; ``job_not_found``.
    """
    with services.database.read() as session:
        row = jobs.get(session, job_id, owner=caller.sees)
    return create(services, Caller(owner=row.owner, role=caller.role), JobSpec.model_validate(row.request))


def _resolved(spec: JobSpec, dataset: DatasetRow) -> JobSpec:
    """The specification with its name and the concrete name of its weights."""
    from app import pretrained  # noqa: PLC0415 - see there

    family_name, name = pretrained.split_name(spec.backbone)
    family = pretrained.FAMILIES[family_name]
    family.check(name, spec.weights)
    _check_dataset(spec, dataset, family.tasks)
    weights = spec.weights and family.resolve(name, spec.weights)
    return spec.model_copy(update={"name": spec.name or _name(spec, dataset), "weights": weights})


def _check_dataset(spec: JobSpec, dataset: DatasetRow, tasks: frozenset[str]) -> None:
    if dataset.status == "failed":
        raise ConflictError(
            "dataset_failed",
            f"The import of data set {dataset.id} failed; see its `error`. Upload a corrected one.",
            param="dataset",
        )
    if dataset.task is not None and dataset.task not in tasks:
        raise InvalidError(
            "task_mismatch",
            f"{spec.backbone} is for {' or '.join(sorted(tasks))}, the data set is for {dataset.task}. "
            "Choose a backbone of the data set's task; GET /backbones lists them.",
            param="backbone",
        )


def _name(spec: JobSpec, dataset: DatasetRow) -> str:
    return f"{dataset.name}-{spec.backbone.rsplit('/', 1)[-1]}"[:200]


def _hash(request: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
