"""From a model and a data set to an evaluation in the queue."""

from typing import Any

from app.deps import Services
from app.quotas import check_active_jobs
from models_store import agreement, aliases, datasets, jobs
from models_store.database.tables import DatasetRow, JobRow, ModelRow
from models_store.errors import ConflictError, NotFoundError
from models_store.keys import Caller


def create(services: Services, caller: Caller, model: str, dataset: str) -> JobRow:
    """Check what can be checked cheaply, insert the job, and ring for it after the commit.

    A set that is still being imported is accepted: the job waits for it, and checks it then.

    Raises:
        NotFoundError: ``model_not_found``, ``alias_not_found``, ``dataset_not_found``.
        ConflictError: ``dataset_failed``.
        InvalidError: ``task_mismatch``, ``unknown_labels``.
        TooManyError: ``too_many_jobs``.
    """
    check_active_jobs(services, caller)
    with services.database.read() as session:
        model_row = aliases.resolve(session, model, caller=caller)
        dataset_row = datasets.get(session, dataset, owner=caller.sees)
    _check(model_row, dataset_row)
    asked = {"model": model_row.id, "dataset": dataset_row.id}
    new = jobs.NewJob(
        kind=jobs.EVALUATE,
        owner=caller.owner,
        name=f"{model_row.name}-on-{dataset_row.name}"[:200],
        dataset_id=dataset_row.id,
        backbone=model_row.backbone,
        request=asked,
        config=asked,
    )
    row, _ = jobs.create(services.database, new)
    services.bell.ring(row.id, row.lane)
    return row


def report(services: Services, caller: Caller, job_id: str) -> dict[str, Any]:
    """What an evaluation that has succeeded found.

    Raises:
        NotFoundError: ``job_not_found``, ``report_not_found``.
    """
    with services.database.read() as session:
        row = jobs.get(session, job_id, owner=caller.sees)
    found: dict[str, Any] | None = (row.result or {}).get("report")
    if found is None:
        raise NotFoundError(
            "report_not_found",
            f"Job {job_id} has no report: it is no evaluation, or has not succeeded. "
            "See its `status`; a fine-tuning's report is at GET /models/{id}/report.",
        )
    return found


def _check(model: ModelRow, dataset: DatasetRow) -> None:
    if dataset.status == "failed":
        raise ConflictError(
            "dataset_failed",
            f"The import of data set {dataset.id} failed; see its `error`. Upload a corrected one.",
            param="dataset",
        )
    agreement.check_task(model, dataset)
    agreement.check_labels(model, dataset)
