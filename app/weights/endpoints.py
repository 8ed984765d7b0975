"""``/weights``: the mirror of pretrained weights; for admins."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from app import forms, uploads
from app.deps import ActorDep, AdminDep, Page, PageDep, Services, ServicesDep
from app.errors import responses, validated
from app.weights.schemas import MirroredWeights, WeightsNames
from models_store import audit
from models_store.artifacts import temporary_directory_beside
from models_store.quarantine.opening import extract

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Mirror, MirrorEntry

router = APIRouter(prefix="/weights", tags=["weights"])
PICKLES: Final = (".pth", ".pt")
FOLDER: Final = ".zip"
SUFFIXES: Final = (".safetensors", *PICKLES, FOLDER)


_FILE: Final = "`.safetensors`, `.pth`, `.pt`; `.zip` of a folder for hf."
_FORM: Final = forms.described(WeightsNames, _FILE, "efficientnet.safetensors", "application/octet-stream")
_BODY: Final = {"requestBody": {"required": True, "content": {"multipart/form-data": _FORM}}}


@router.post("", status_code=201, openapi_extra=_BODY, responses=responses(403, 409))
async def add_weights(request: Request, services: ServicesDep, _admin: AdminDep, actor: ActorDep) -> MirroredWeights:
    """Put a file of weights into the mirror, from where jobs load them without a hub."""
    with uploads.opened(services.settings.uploads_dir) as upload:
        await uploads.receive(request, upload)
        names = validated(WeightsNames, upload.fields, "body")
        upload.give_suffix(uploads.suffix(upload.filename or "", SUFFIXES))
        return await run_in_threadpool(_add, services, names, upload.path, actor)


@router.get("", responses=responses(403))
def list_weights(query: PageDep, services: ServicesDep, _admin: AdminDep) -> Page[MirroredWeights]:
    """What the mirror has, by name; `after` is `BACKBONE:WEIGHTS`."""
    entries = {f"{entry.backbone}:{entry.weights}": entry for entry in _mirror(services).list()}
    left = sorted(place for place in entries if query.after is None or place > query.after)
    data = [MirroredWeights.model_validate(asdict(entries[place])) for place in left[: query.limit]]
    return Page(data=data, has_more=len(left) > query.limit)


@router.delete("", status_code=204, responses=responses(403, 404))
def remove_weights(
    names: Annotated[WeightsNames, Query()], services: ServicesDep, _admin: AdminDep, actor: ActorDep
) -> None:
    """Take weights out of the mirror. Models that were trained from them stay."""
    with services.database.write() as session:
        audit.record(session, actor, "weights.removed", f"{names.backbone}:{names.weights}", owner=None)
        session.flush()
        _mirror(services).remove(names.backbone, names.weights)


def _added(services: Services, names: WeightsNames, source: Path) -> "MirrorEntry":
    from app import pretrained  # noqa: PLC0415 - see there

    if source.suffix == FOLDER or pretrained.split_name(names.backbone)[0] == "hf":  # a zip under any name
        return pretrained.mirroring.add(services.settings.store_dir, names.backbone, names.weights, source)
    with _tensors_of(source) as file:
        return _mirror(services).add(names.backbone, names.weights, file)


def _add(services: Services, names: WeightsNames, source: Path, actor: audit.Actor) -> MirroredWeights:
    mirror = _mirror(services)
    mirror.check(names.backbone, names.weights)
    with mirror.fetched(names.backbone, names.weights):
        entry = _added(services, names, source)
    mirror.share(entry)
    with services.database.write() as session:  # after it: adding takes long, and once more changes nothing
        audit.record(session, actor, "weights.added", f"{entry.backbone}:{entry.weights}", owner=None)
    return MirroredWeights.model_validate(asdict(entry))


@contextmanager
def _tensors_of(source: Path) -> Iterator[Path]:
    """What a pickle holds, as a confined process has read it; this one never unpickles an upload."""
    if source.suffix not in PICKLES:
        yield source
        return
    with temporary_directory_beside(source) as folder:
        file = folder / "tensors.safetensors"
        extract(source, file)
        yield file


def _mirror(services: Services) -> "Mirror":
    from app import pretrained  # noqa: PLC0415 - see there

    return pretrained.Mirror(services.settings.store_dir, services.storage)
