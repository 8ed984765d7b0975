"""From a multipart body to a stored checkpoint. The file itself is opened by a confined process alone."""

from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app import uploads
from app.checkpoints.schemas import CheckpointForm
from app.deps import Services
from app.errors import validated
from app.quotas import room
from models_store import checkpoints, ids
from models_store.artifacts import sha256_file, temporary_directory_beside
from models_store.database.tables import CheckpointRow
from models_store.errors import InvalidError
from models_store.keys import Caller
from models_store.quarantine.opening import extract

SUFFIXES: Final = (".ckpt", ".pt", ".pth", ".safetensors")


async def accept(request: Request, services: Services, caller: Caller) -> CheckpointRow:
    """Receive the body, read its tensors, see which of its parts the architecture fits, and store it.

    Raises:
        FinetunedError: see :func:`app.uploads.receive` and :func:`models_store.quarantine.opening.extract`; also
            ``unsupported_file``, ``unknown_backbone``, ``architecture_expected``, ``checkpoint_mismatch``,
            ``storage_quota``.
        RequestValidationError: a field is missing, wrong or unknown.
    """
    left = await run_in_threadpool(room, services, caller)
    with uploads.opened(services.settings.uploads_dir, left) as upload:
        await uploads.receive(request, upload)
        form = validated(CheckpointForm, upload.fields, "body")
        upload.give_suffix(uploads.suffix(upload.filename or "", SUFFIXES))
        return await run_in_threadpool(_store, services, caller, form, upload.path)


def _store(services: Services, caller: Caller, form: CheckpointForm, source: Path) -> CheckpointRow:
    from app import pretrained  # noqa: PLC0415 - see there

    _check_architecture(form.architecture)
    store_dir = services.settings.store_dir
    checkpoint_id = ids.new("ckpt")
    mirror = pretrained.Mirror(store_dir, services.storage)
    with temporary_directory_beside(checkpoints.directory(store_dir, checkpoint_id)) as folder:
        file = folder / checkpoints.TENSORS
        extract(source, file)
        new = checkpoints.NewCheckpoint(
            id=checkpoint_id,
            owner=caller.owner,
            name=form.name,
            architecture=form.architecture,
            parts=pretrained.examine(file, form.architecture, pretrained.SOURCES, mirror),
            names=pretrained.order(file),
            sha256=sha256_file(file),
            bytes=file.stat().st_size,
        )
        most = services.settings.max_stored_bytes
        return checkpoints.create(services.database, store_dir, new, folder, max_stored=most, storage=services.storage)


def _check_architecture(architecture: str) -> None:
    """Before the file is opened, which takes longer."""
    from app import pretrained  # noqa: PLC0415 - see there

    family, name = pretrained.split_name(architecture)
    if family not in pretrained.SOURCES:
        raise InvalidError(
            "architecture_expected",
            f"{architecture} is no architecture. Name the backbone that it was made from, such as timm/resnet18.",
            param="architecture",
        )
    pretrained.FAMILIES[family].check(name, None)
