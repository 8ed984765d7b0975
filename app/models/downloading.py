"""``/models/{ref}/download``: a model to take away. However large, it passes through in chunks."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from typing import IO, Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.deps import CallerDep, Services, ServicesDep
from app.errors import responses
from app.models.refs import RefPath
from app.uploads import disk_errors
from models_store import aliases, registry
from models_store.database.tables import DatasetRow, ModelRow
from models_store.keys import Caller
from models_store.storage import needs

router = APIRouter(prefix="/models", tags=["models"])
_CHUNK: Final = 2**20
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069/\\:*?"<>|]+')
"""In a file's name: what systems refuse, and marks that show a name's end in its midst."""


class Format(StrEnum):
    """What is downloaded: everything in a zip, or a Lightning checkpoint alone."""

    ZIP = "zip"
    CKPT = "ckpt"


_MEDIA_TYPES: Final = {Format.ZIP: "application/zip", Format.CKPT: "application/octet-stream"}
FormatQuery = Annotated[Format, Query(alias="format", description="`zip`, or `ckpt` for a Lightning checkpoint.")]
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _MEDIA_TYPES.values()},
    }
}


@router.get("/{ref:model}/download", response_class=Response, responses={**responses(404, 409), **_FILE})
def download_model(
    ref: RefPath, services: ServicesDep, caller: CallerDep, wanted: FormatQuery = Format.ZIP
) -> Response:
    """The model for plain torchvision, timm or transformers: tensors, configuration, model card; or for Lightning."""
    row, dataset = _found(services, caller, ref)
    try:
        return _answer(services, row, dataset, wanted)
    except FileNotFoundError:
        registry.confirm(services.database, row.id)  # its files may be gone because it was deleted: that is a 404
        raise


@router.head("/{ref:model}/download", include_in_schema=False)
def describe_download(
    ref: RefPath, services: ServicesDep, caller: CallerDep, wanted: FormatQuery = Format.ZIP
) -> Response:
    """The headers of the download alone."""
    row, _ = _found(services, caller, ref)
    return Response(headers=_headers(row, wanted), media_type=_MEDIA_TYPES[wanted])


def _found(services: Services, caller: Caller, ref: str) -> tuple[ModelRow, DatasetRow | None]:
    with services.database.read() as session:
        row = aliases.resolve(session, ref, caller=caller)
        return row, session.get(DatasetRow, row.dataset_id)


def _answer(services: Services, row: ModelRow, dataset: DatasetRow | None, wanted: Format) -> StreamingResponse:
    from app import pretrained  # noqa: PLC0415 - see there

    settings, headers = services.settings, _headers(row, wanted)
    if wanted is Format.ZIP:
        with ExitStack() as stack:
            stack.enter_context(needs.of_model(services.storage, settings.store_dir, row.id))
            content = pretrained.download.as_zip(row, dataset, settings.store_dir)
            return StreamingResponse(
                _to_end(content, stack.pop_all()), headers=headers, media_type=_MEDIA_TYPES[wanted]
            )
    with disk_errors(), needs.of_model(services.storage, settings.store_dir, row.id), ExitStack() as stack:
        # On the data disk, without a name: however this process ends, nothing of it stays.
        file = stack.enter_context(tempfile.TemporaryFile(dir=settings.uploads_dir))
        pretrained.download.write_checkpoint(row, dataset, settings.store_dir, file)
        headers["Content-Length"] = str(file.seek(0, 2))
        stack.pop_all()
    return StreamingResponse(_chunks(file), headers=headers, media_type=_MEDIA_TYPES[wanted])


def _to_end(content: Iterator[bytes], kept: ExitStack) -> Iterator[bytes]:
    """What is read stays until it has been."""
    with kept:
        yield from content


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _headers(row: ModelRow, wanted: Format) -> dict[str, str]:
    """The file's name in full by RFC 5987, and the model's id for clients that know ASCII alone."""
    name = _UNSAFE.sub("_", f"{row.name}-v{row.version}.{wanted}")
    disposition = f"attachment; filename=\"{row.id}.{wanted}\"; filename*=UTF-8''{quote(name, safe='')}"
    return {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
