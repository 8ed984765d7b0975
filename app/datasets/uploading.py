"""From a multipart body to a data set that waits for its import."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app import uploads
from app.datasets.schemas import DatasetForm
from app.deps import Services
from app.errors import validated
from app.quotas import check_active_jobs, room
from models_store import datasets
from models_store.database.tables import DatasetRow
from models_store.errors import DatabaseUnavailableError, InvalidError, StorageUnavailableError
from models_store.idempotency import Repeat
from models_store.keys import Caller
from models_store.storage.protocol import Storage

SUFFIXES: Final = (".zip", ".csv", ".jsonl")


async def accept(request: Request, services: Services, caller: Caller, key: str | None) -> DatasetRow:
    """Receive the body, check its fields, insert the data set and ring for its import.

    Raises:
        FinetunedError: see :func:`app.uploads.receive`; also ``unsupported_file``, ``idempotency_mismatch``,
            ``too_many_jobs``, ``storage_quota``.
        RequestValidationError: a field is wrong or unknown.
    """
    await run_in_threadpool(check_active_jobs, services, caller)
    left = await run_in_threadpool(room, services, caller)
    with uploads.opened(services.settings.uploads_dir, left) as upload:
        await uploads.receive(request, upload)
        form = _form(upload.fields)
        return await run_in_threadpool(_create, services, caller, upload, form, key)


def _form(fields: dict[str, str]) -> DatasetForm:
    given = {name: value for name, value in fields.items() if value or name not in DatasetForm.model_fields}
    return validated(DatasetForm, given, "body")


def _create(
    services: Services, caller: Caller, upload: uploads.Upload, form: DatasetForm, key: str | None
) -> DatasetRow:
    filename = _basename(upload.filename or "")
    new = datasets.NewDataset(
        owner=caller.owner,
        name=form.name or filename.rsplit(".", 1)[0] or filename,
        options={"filename": filename, **form.model_dump(exclude={"name"})},
        upload=upload.path.name,
        upload_sha256=upload.sha256,
        upload_bytes=upload.size,
    )
    repeat = None if key is None else Repeat(key, _body_hash(new, form))
    with _pushed(services.storage, upload):
        row, job = datasets.create(services.database, new, repeat, max_stored=services.settings.max_stored_bytes)
        if job is not None:
            upload.keep()
            services.bell.ring(job.id, job.lane)
    return row


@contextmanager
def _pushed(storage: Storage, upload: uploads.Upload) -> Iterator[None]:
    """The file goes where workers on other machines see it, and goes again unless a row names it then."""
    storage.push_file(upload.path)
    try:
        yield
    except DatabaseUnavailableError:
        raise  # the commit may have been made; if it was not, a sweep removes the file later
    except BaseException:
        _drop(storage, upload)
        raise
    if not upload.kept:
        _drop(storage, upload)
    elif storage.shared:
        upload.path.unlink(missing_ok=True)


def _drop(storage: Storage, upload: uploads.Upload) -> None:
    with contextlib.suppress(StorageUnavailableError):  # it is in the log, and a sweep removes it later
        storage.drop_files(upload.path)


def _basename(filename: str) -> str:
    """The last part of what the client called the file; it is shown, and only its suffix means anything."""
    name = PurePosixPath(filename.replace("\\", "/")).name.replace("\0", "")
    if not name.lower().endswith(SUFFIXES):
        raise InvalidError(
            "unsupported_file", f"The file's name must end in one of {', '.join(SUFFIXES)}. Convert it.", param="file"
        )
    return name[-200:]


def _body_hash(new: datasets.NewDataset, form: DatasetForm) -> str:
    fields = {**form.model_dump(exclude_unset=True), "filename": new.options["filename"], "file": new.upload_sha256}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
