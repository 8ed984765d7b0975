"""Whether a model can be asked about a data set."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store.database.tables import DatasetRow, ModelRow
from models_store.errors import InvalidError

_LISTED: Final = 20
_LOOKED_AT: Final = 1000


def check_task(model: ModelRow, dataset: DatasetRow) -> None:
    """A set whose task is not known yet passes.

    Raises:
        InvalidError: ``task_mismatch``.
    """
    if dataset.task is not None and dataset.task != model.task:
        raise InvalidError(
            "task_mismatch",
            f"Model {model.id} is for {model.task}, the data set is for {dataset.task}. "
            "Choose a data set of the model's task.",
            param="dataset",
        )


def check_labels(model: ModelRow, dataset: DatasetRow) -> None:
    """Every label of the set must be one that the model knows; it need not have all of them.

    Raises:
        InvalidError: ``unknown_labels``.
    """
    known = set(model.card["labels"])
    unknown = [entry["label"] for entry in dataset.classes if entry["label"] not in known]
    if unknown:
        listed = ", ".join(repr(label) for label in unknown[:_LISTED]) + (", …" if len(unknown) > _LISTED else "")
        raise InvalidError(
            "unknown_labels",
            f"The model does not know {len(unknown)} labels of the data set: {listed}. "
            "Rename them to labels of the model, or leave their items out.",
            param="dataset",
        )


def askable(session: Session, model: ModelRow, *, owner: str | None, limit: int) -> list[tuple[str, str]]:
    """Ids and names of the newest sets that are ready and of the model's task; their labels are not looked at.

    They are looked for among the newest ``_LOOKED_AT`` sets: an owner may have a million of another task.
    """
    columns = (DatasetRow.id, DatasetRow.name, DatasetRow.status, DatasetRow.task)
    seen = select(*columns) if owner is None else select(*columns).where(DatasetRow.owner == owner)
    newest = seen.order_by(DatasetRow.id.desc()).limit(_LOOKED_AT).subquery().c
    fitting = select(newest.id, newest.name).where(newest.status == "ready", newest.task == model.task)
    return [(row.id, row.name) for row in session.execute(fitting.order_by(newest.id.desc()).limit(limit))]
