"""``/checkpoints``: weights that users bring, as backbones for their jobs."""

from typing import Final

from fastapi import APIRouter, Request, Response

from app import forms
from app.checkpoints import uploading
from app.checkpoints.schemas import Checkpoint, CheckpointForm
from app.deps import ActorDep, CallerDep, IdPath, Page, PageDep, ServicesDep
from app.errors import responses
from models_store import checkpoints

router = APIRouter(prefix="/checkpoints", tags=["checkpoints"])


# The body is read by app.uploads, not by FastAPI, which would put it whole into a temporary file first.
_FILE: Final = "A Lightning `.ckpt`, or a `.pt`, `.pth` or `.safetensors` of a state_dict()."
_FORM: Final = forms.described(CheckpointForm, _FILE, "autoencoder.safetensors", "application/octet-stream")
_BODY: Final = {"requestBody": {"required": True, "content": {"multipart/form-data": _FORM}}}


@router.post("", status_code=201, openapi_extra=_BODY, responses=responses())
async def create_checkpoint(
    request: Request, response: Response, services: ServicesDep, caller: CallerDep
) -> Checkpoint:
    """Upload a checkpoint, such as a Lightning `.ckpt`: a job can take a part of it as its backbone.

    It is read as tensors and plain values by a confined process; nothing of it is ever run.
    """
    row = await uploading.accept(request, services, caller)
    response.headers["Location"] = f"/checkpoints/{row.id}"
    return Checkpoint.of(row)


@router.get("", responses=responses())
def list_checkpoints(query: PageDep, services: ServicesDep, caller: CallerDep) -> Page[Checkpoint]:
    """Your checkpoints, newest first."""
    with services.database.read() as session:
        rows, more = checkpoints.page(session, owner=caller.sees, limit=query.limit, after=query.after)
    return Page(data=[Checkpoint.of(row) for row in rows], has_more=more)


@router.get("/{checkpoint_id}", responses=responses(404))
def read_checkpoint(checkpoint_id: IdPath, services: ServicesDep, caller: CallerDep) -> Checkpoint:
    """One checkpoint: its parts, and those that its architecture fits."""
    with services.database.read() as session:
        return Checkpoint.of(checkpoints.get(session, checkpoint_id, owner=caller.sees))


@router.delete("/{checkpoint_id}", status_code=204, responses=responses(404, 409))
def delete_checkpoint(checkpoint_id: IdPath, services: ServicesDep, caller: CallerDep, actor: ActorDep) -> None:
    """Delete a checkpoint that no queued or running job starts from. Models that were trained from it stay."""
    store_dir, storage = services.settings.store_dir, services.storage
    checkpoints.delete(services.database, store_dir, checkpoint_id, owner=caller.sees, by=actor, storage=storage)
    services.database.scrub()
