"""``/ui/datasets``: upload, the list, and a data set with its classes, samples and problems."""

from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request, Response

from app.datasets import endpoints, opening
from app.datasets.schemas import Split
from app.deps import ActorDep, CallerDep, IdPath, Services, ServicesDep
from app.web import live
from app.web.charts.bars import class_balance
from app.web.datasets import samples
from app.web.datasets.samples import Wanted
from app.web.rendering import html, redirected, render, texts
from app.web.routing import page_router
from models_store import datasets
from models_store.database.tables import DatasetRow
from models_store.keys import Caller

router = page_router("/ui/datasets")
_ROWS: Final = 30
_CLASSES: Final = 12
"""With samples, at first."""
_SAMPLES: Final = 8
"""Of each class, at first."""
_MORE_SAMPLES: Final = 60
_PROBLEMS: Final = 50
_TEXT: Final = "text-classification"
After = Annotated[str | None, Query(max_length=300)]
Start = Annotated[int, Query(ge=0, le=10**9)]


@router.get("")
def list_page(request: Request, services: ServicesDep, caller: CallerDep, after: After = None) -> Response:
    """Upload, and the newest data sets."""
    return render(request, "datasets/list.html", nav="datasets", **_rows(services, caller, after))


@router.get("/rows")
def more_rows(request: Request, services: ServicesDep, caller: CallerDep, after: After = None) -> Response:
    """The next data sets of the list."""
    return render(request, "datasets/_rows.html", **_rows(services, caller, after))


@router.get("/live")
async def live_rows(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """The beginning of the list, as it changes."""
    return await live.stream(
        services, lambda: live.Part(html(request, "datasets/_rows.html", **_rows(services, caller, None)))
    )


@router.get("/{dataset_id}")
def page(request: Request, dataset_id: IdPath, services: ServicesDep, caller: CallerDep) -> Response:
    """A data set."""
    row = _row(services, caller, dataset_id)
    return render(request, "datasets/dataset.html", nav="datasets", **_shown(request, services, row))


@router.get("/{dataset_id}/live")
async def live_page(request: Request, dataset_id: IdPath, services: ServicesDep, caller: CallerDep) -> Response:
    """A data set that is being imported, until it is not."""
    t = texts(request)

    def part() -> live.Part:
        row = _row(services, caller, dataset_id)
        content = html(request, "datasets/_content.html", **_shown(request, services, row))
        return live.Part(content, say=t(f"status.{row.status}"), over=row.status != "processing")

    return await live.stream(services, part)


@router.get("/{dataset_id}/classes")
def more_classes(
    request: Request, dataset_id: IdPath, services: ServicesDep, caller: CallerDep, start: Start = 0
) -> Response:
    """Samples of the next classes."""
    row = _row(services, caller, dataset_id, with_problems=False)
    return render(request, "datasets/_classes.html", dataset=row, **_classes(services, row, start))


@router.get("/{dataset_id}/samples")
def more_samples(
    request: Request,
    dataset_id: IdPath,
    services: ServicesDep,
    caller: CallerDep,
    label: Annotated[str, Query(max_length=1000)],
    split: Split | None = None,
    start: Start = 0,
) -> Response:
    """All items of a class, a part at a time."""
    row = _row(services, caller, dataset_id, with_problems=False)
    wanted = Wanted(label, split, start)
    with opening.items(services, row) as itemset:
        found, more = samples.of_class(itemset, wanted, _MORE_SAMPLES, text=row.task == _TEXT)
    following = start + _MORE_SAMPLES if more else None
    template = "datasets/_samples.html" if start else "datasets/class.html"
    return render(request, template, nav="datasets", dataset=row, wanted=wanted, samples=found, following=following)


@router.get("/{dataset_id}/{kind}")
def more_problems(
    request: Request,
    dataset_id: IdPath,
    kind: Literal["problems", "warnings"],
    services: ServicesDep,
    caller: CallerDep,
    start: Start = 0,
) -> Response:
    """The next problems or warnings of the import."""
    row = _row(services, caller, dataset_id)
    return render(request, "datasets/_problems.html", dataset=row, **_listed(row, kind, start))


@router.delete("/{dataset_id}")
def delete(dataset_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> Response:
    """Delete it, and go back to the list."""
    endpoints.delete_dataset(dataset_id, services, caller, actor)
    return redirected("/ui/datasets")


def _rows(services: Services, caller: Caller, after: str | None) -> dict[str, Any]:
    with services.database.read() as session:
        rows, more = datasets.page(session, owner=caller.sees, limit=_ROWS, after=after)
    return {"rows": rows, "following": rows[-1].id if more else None, "first": after is None}


def _row(services: Services, caller: Caller, dataset_id: str, *, with_problems: bool = True) -> DatasetRow:
    with services.database.read() as session:
        return datasets.get(session, dataset_id, owner=caller.sees, with_problems=with_problems)


def _shown(request: Request, services: Services, row: DatasetRow) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "dataset": row,
        "problems": _listed(row, "problems", 0),
        "warnings": _listed(row, "warnings", 0),
    }
    if row.status == "ready":
        labels = tuple(one["label"] for one in row.classes)
        directory = datasets.directory(services.settings.store_dir, str(row.fingerprint))
        with services.storage.using(directory):
            counts = samples.counts(directory, labels)
        shown["balance"] = class_balance(list(counts.items()), texts(request))
        shown |= _classes(services, row, 0)
    return shown


def _classes(services: Services, row: DatasetRow, start: int) -> dict[str, Any]:
    labels = [one["label"] for one in row.classes]
    with opening.items(services, row) as itemset:
        found = [
            (label, *samples.of_class(itemset, Wanted(label), _SAMPLES, text=row.task == _TEXT))
            for label in labels[start : start + _CLASSES]
        ]
    following = start + _CLASSES if len(labels) > start + _CLASSES else None
    return {"classes": found, "following": following}


def _listed(row: DatasetRow, kind: Literal["problems", "warnings"], start: int) -> dict[str, Any]:
    everything = row.problems if kind == "problems" else row.warnings
    following = start + _PROBLEMS if len(everything) > start + _PROBLEMS else None
    return {
        "kind": kind,
        "count": len(everything),
        "found": everything[start : start + _PROBLEMS],
        "following": following,
    }
