"""From a job's specification to a row in the queue."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from app.deps import Services
from app.jobs import evaluating
from app.quotas import check_active_jobs, room
from models_store import checkpoints, datasets, jobs, labels, registry, workers
from models_store.database.tables import DatasetRow, JobRow
from models_store.errors import ConflictError, ForbiddenError, InvalidError
from models_store.idempotency import Repeat
from models_store.keys import ADMIN, Caller
from models_store.spec import JobSpec, PreprocessingOptions

_TEXTS: Final = "text-classification"


@dataclass(frozen=True)
class _Start:
    """What a job starts from: a backbone, as far as rows and names tell."""

    name: str
    """For people."""
    tasks: frozenset[str]
    weights: str | None
    submodule: str | None


def create(services: Services, caller: Caller, spec: JobSpec, key: str | None = None) -> JobRow:
    """Check what can be checked cheaply, insert the job, and ring for it after the commit.

    Raises:
        FinetunedError: as for :func:`resolve`; ``idempotency_mismatch``, ``too_many_jobs``, ``storage_quota``,
            ``priority_for_admins``.
    """
    check_active_jobs(services, caller)
    room(services, caller)
    _check_priority(caller, spec)
    resolved = resolve(services, caller, spec)
    request = spec.model_dump(mode="json", exclude_unset=True)
    repeat = None if key is None else Repeat(key, _hash(request))
    new = jobs.NewJob(
        kind=jobs.FINE_TUNE,
        owner=caller.owner,
        name=str(resolved.name),
        dataset_id=resolved.dataset,
        backbone=spec.backbone,
        request=request,
        config=resolved.model_dump(mode="json"),
        metadata=dict(spec.metadata),
        priority=resolved.priority,
        requires=labels.needed(resolved.requires),
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
    owner = Caller(owner=row.owner, role=caller.role)
    if row.kind == jobs.EVALUATE:
        return evaluating.create(services, owner, row.request["model"], row.request["dataset"])
    return create(services, owner, JobSpec.model_validate(row.request))


def resolve(services: Services, caller: Caller, spec: JobSpec) -> JobSpec:
    """The specification with its name, its weights' concrete name, the part of its checkpoint, and all that it needs.

    Raises:
        NotFoundError: ``dataset_not_found``, ``checkpoint_not_found``, ``model_not_found``.
        ConflictError: ``dataset_failed``.
        InvalidError: ``unknown_backbone``, ``unknown_weights``, ``task_mismatch``, ``lora_needs_text``,
            ``submodule_unexpected``, ``unknown_submodule``, ``ambiguous_submodule``, ``preprocessing_fixed``.
    """
    with services.database.read() as session:
        dataset = datasets.get(session, spec.dataset, owner=caller.sees, with_problems=False)
    start = _start(services, caller, spec)
    _check_dataset(spec, dataset, start.tasks)
    _check_strategy(spec, dataset, start.tasks)
    name = spec.name or f"{dataset.name}-{start.name}"[:200]
    concrete = {"name": name, "weights": start.weights, "submodule": start.submodule}
    return spec.model_copy(update={**concrete, "requires": _needs(spec)})


def _needs(spec: JobSpec) -> list[str]:
    implied = [workers.GPU] if spec.training.accelerator == "gpu" else []
    return sorted({*spec.requires, *implied})


def _check_priority(caller: Caller, spec: JobSpec) -> None:
    """What goes before everybody's jobs is not for everybody to say: fair shares would end there."""
    if spec.priority > 0 and caller.role != ADMIN:
        message = "Priorities above 0 are for admins. Leave it out, or give jobs that can wait one below 0."
        raise ForbiddenError("priority_for_admins", message, param="priority")


def _start(services: Services, caller: Caller, spec: JobSpec) -> _Start:
    from app import pretrained  # noqa: PLC0415 - see there

    family_name, name = pretrained.split_name(spec.backbone)
    if spec.submodule is not None and family_name != "checkpoint":
        message = f"{spec.backbone} is taken as a whole. Leave `submodule` out, or start from a checkpoint/ID."
        raise InvalidError("submodule_unexpected", message, param="submodule")
    family = pretrained.FAMILIES[family_name]
    if family_name == "checkpoint":
        start = _from_checkpoint(services, caller, spec, name)
    elif family_name == "model":
        start = _from_model(services, caller, spec, name)
    else:
        start = _Start(name.rsplit("/", 1)[-1], family.tasks, None, None)
    family.check(name, spec.weights)
    weights = spec.weights and family.resolve(name, spec.weights)
    return _Start(start.name, start.tasks, weights, start.submodule)


def _from_checkpoint(services: Services, caller: Caller, spec: JobSpec, checkpoint_id: str) -> _Start:
    from app import pretrained  # noqa: PLC0415 - see there

    with services.database.read() as session:
        row = checkpoints.get(session, checkpoint_id, owner=caller.sees)
    store_dir = services.settings.store_dir
    with services.storage.using(checkpoints.directory(store_dir, row.id)):
        submodule = checkpoints.check_submodule(row, store_dir, spec.submodule)
    family, _ = pretrained.split_name(row.architecture)
    return _Start(row.name, pretrained.FAMILIES[family].tasks, None, submodule)


def _from_model(services: Services, caller: Caller, spec: JobSpec, model_id: str) -> _Start:
    with services.database.read() as session:
        row = registry.get(session, model_id, owner=caller.sees)
    if spec.preprocessing != PreprocessingOptions():
        message = "A model goes on with the input that it was trained with. Leave `preprocessing` out."
        raise InvalidError("preprocessing_fixed", message, param="preprocessing")
    return _Start(row.name, frozenset({row.task}), None, None)


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


def _check_strategy(spec: JobSpec, dataset: DatasetRow, tasks: frozenset[str]) -> None:
    if spec.strategy == "lora" and (_TEXTS not in tasks or dataset.task not in {_TEXTS, None}):
        message = "The strategy lora is for text backbones. Choose freeze, gradual or full."
        raise InvalidError("lora_needs_text", message, param="strategy")


def _hash(request: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
