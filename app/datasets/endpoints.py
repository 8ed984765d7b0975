"""``/datasets``."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from app import forms, uploads, waiting
from app.datasets import content, opening, uploading
from app.datasets.schemas import Dataset, DatasetForm, Item, ItemsQuery
from app.deps import ActorDep, CallerDep, IdempotencyKey, IdPath, Page, PageDep, PreferHeader, Services, ServicesDep
from app.errors import responses
from models_store import datasets
from models_store.database.tables import DatasetRow
from models_store.errors import ConflictError
from models_store.itemset import Item as StoredItem
from models_store.itemset import ItemSet
from models_store.keys import Caller

router = APIRouter(prefix="/datasets", tags=["datasets"])
_TEXT: Final = "text-classification"

# The body is read by app.uploads, not by FastAPI, which would put it whole into a temporary file first.
_FILE: Final = "`.zip` of images, `.csv` or `.jsonl` of texts."
_KINDS: Final = "text/csv, application/zip, application/jsonl"
_FORM: Final = forms.described(DatasetForm, _FILE, "films.csv", _KINDS, blanks=True)
_BODY: Final = {"requestBody": {"required": True, "content": {"multipart/form-data": _FORM}}}


@router.post(
    "",
    status_code=202,
    openapi_extra=_BODY,
    responses={**responses(409, 429), 201: {"model": Dataset, "description": "It is ready already."}},
)
async def create_dataset(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    idempotency_key: IdempotencyKey = None,
    prefer: PreferHeader = None,
) -> Dataset:
    """Upload images in class folders, or labelled texts. The import goes on after the answer."""
    row = await uploading.accept(request, services, caller, idempotency_key)
    response.headers["Location"] = f"/datasets/{row.id}"
    response.headers.update(waiting.applied(prefer))
    row = await _wait(services, caller, row.id, prefer) if waiting.seconds(prefer) else row
    response.status_code = 201 if row.status == "ready" else 202
    return Dataset.of(row)


@router.get("", responses=responses())
def list_datasets(query: PageDep, services: ServicesDep, caller: CallerDep) -> Page[Dataset]:
    """Your data sets, newest first."""
    with services.database.read() as session:
        rows, more = datasets.page(session, owner=caller.sees, limit=query.limit, after=query.after)
    return Page(data=[Dataset.of(row) for row in rows], has_more=more)


@router.get("/{dataset_id}", responses=responses(404))
async def read_dataset(
    dataset_id: IdPath, response: Response, services: ServicesDep, caller: CallerDep, prefer: PreferHeader = None
) -> Dataset:
    """One data set: its classes, its splits, and all bad items at once."""
    response.headers.update(waiting.applied(prefer))
    return Dataset.of(await _wait(services, caller, dataset_id, prefer))


@router.delete("/{dataset_id}", status_code=204, responses=responses(404, 409))
def delete_dataset(dataset_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> None:
    """Delete a data set that no queued or running job uses, with what was computed of its items.

    Content that another data set has as well stays for that one. Reports of models and evaluations keep their figures
    and lose their `mistakes`. What a model has learned, its labels included, goes with the model.
    """
    store_dir, storage = services.settings.store_dir, services.storage
    datasets.delete(services.database, store_dir, dataset_id, owner=caller.sees, by=actor, storage=storage)
    uploads.remove_leftovers(services.database, services.settings.uploads_dir)  # of an import that failed
    services.database.scrub()


@router.get("/{dataset_id}/items", response_model_exclude_none=True, responses=responses(404, 409))
def list_items(
    dataset_id: IdPath, query: Annotated[ItemsQuery, Query()], services: ServicesDep, caller: CallerDep
) -> Page[Item]:
    """The items of a data set, in the order of the set."""
    row = _ready(services, caller, dataset_id)
    with opening.items(services, row) as itemset:
        found = list(itemset.items(query.split, query.label, query.after, query.limit + 1))
        data = [_shown(itemset, item, row) for item in found[: query.limit]]
    return Page(data=data, has_more=len(found) > query.limit)


@router.get(
    "/{dataset_id}/items/{item_id}/content",
    response_class=Response,
    responses={
        **responses(404, 409),
        200: {"description": "The item's bytes as uploaded.", "content": {"image/*": {}, "text/plain": {}}},
    },
)
def read_content(dataset_id: IdPath, item_id: IdPath, services: ServicesDep, caller: CallerDep) -> Response:
    """An item as it was uploaded."""
    row = _ready(services, caller, dataset_id)
    with opening.items(services, row) as itemset:
        return content.answer(itemset.content(itemset.item(item_id)), text=row.task == _TEXT)


def _ready(services: Services, caller: Caller, dataset_id: str) -> DatasetRow:
    with services.database.read() as session:
        row = datasets.get(session, dataset_id, owner=caller.sees)
    if row.status != "ready" or row.fingerprint is None:
        raise ConflictError(
            "dataset_not_ready", f"Data set {dataset_id} is {row.status}; it has no items. Wait until it is ready."
        )
    return row


def _shown(itemset: ItemSet, item: StoredItem, row: DatasetRow) -> Item:
    text = itemset.content(item).decode() if row.task == _TEXT else None
    return Item.model_validate(
        {"id": item.id, "name": item.name, "label": item.label, "split": item.split, "text": text}
    )


async def _wait(services: Services, caller: Caller, dataset_id: str, prefer: str | None) -> DatasetRow:
    def read() -> DatasetRow:
        with services.database.read() as session:
            return datasets.get(session, dataset_id, owner=caller.sees)

    return await waiting.wait(read, lambda row: row.status != "processing", prefer, services.stopping)
