"""Styles and scripts, under an address that has a hash of all of them: a browser may keep what it has for ever."""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from models_store.errors import NotFoundError

router = APIRouter(include_in_schema=False)
_FOLDER: Final = Path(__file__).parent / "static"
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Vary": "Accept-Encoding",
}
"""A picture (SVG) that is opened by itself may have styles, and nothing else."""


@cache
def _files() -> dict[str, Path]:
    """What is served, by its name in the folder."""
    found = (path for path in sorted(_FOLDER.rglob("*")) if path.suffix in _MEDIA_TYPES)
    return {path.relative_to(_FOLDER).as_posix(): path for path in found}


@cache
def _hash() -> str:
    """Of all files together, so that scripts may import each other by relative names."""
    digest = hashlib.sha256()
    for name, path in _files().items():
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def url(name: str) -> str:
    """A file's address.

    Raises:
        KeyError: there is no such file.
    """
    _files()[name]
    return f"/static/{_hash()}/{name}"


@cache
def _zipped(name: str) -> bytes:
    return gzip.compress(_files()[name].read_bytes(), mtime=0)


@router.get("/static/{version}/{name:path}")
def file(version: str, name: str, request: Request) -> Response:
    """A file; another version's address, as an older process's page has it, is answered and not kept."""
    if name not in _files():
        raise NotFoundError("not_found", "There is no such file. Load the page again.")
    headers = {**_HEADERS, "Cache-Control": _FOR_EVER if version == _hash() else "no-store"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = _zipped(name), "gzip"
    else:
        content = _files()[name].read_bytes()
    return Response(content, headers=headers, media_type=_MEDIA_TYPES[_files()[name].suffix])
