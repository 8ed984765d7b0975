"""A file from the service: it appears whole or not at all."""

import secrets
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import unquote

import httpx

from finetuned.client.effects import Ask, Call, Do, Op, Read, Service, Sleep
from finetuned.client.errors import Json, unreachable
from finetuned.client.requests import Pace, send

_NAME_BYTES: Final = 240
"""Of a file's name; file systems take 255."""


def download(route: str, to: Path, params: Json) -> Op[Path]:
    """GET a file into ``to``, or under its own name where that is a folder; begun anew where it breaks off."""
    call = Call("GET", route, params=params, repeatable=True)
    service: Service = yield Ask()
    pace = Pace(call, service)
    while True:
        response = yield from send(call, pace, stream=True)
        target = to / filename(response.headers.get("Content-Disposition", "")) if to.is_dir() else to
        try:
            yield from _written(target)
        except httpx.TransportError as error:
            pause = pace.after_silence(error)
            if pause is None:
                raise unreachable(service.url, error) from error
            yield Sleep(pause)
        else:
            return target


def _written(target: Path) -> Op[None]:
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            while (piece := (yield Read(lines=False))) is not None:
                yield Do(lambda piece=piece: file.write(piece))  # type: ignore[misc]
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def filename(disposition: str) -> str:
    """The name that ``Content-Disposition`` gives by RFC 5987, as one that this machine can write."""
    _, told, encoded = disposition.partition("filename*=UTF-8''")
    name = PurePath(unquote(encoded.partition(";")[0])).name if told else ""
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    cut = stem.encode()[: _NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
    return f"{cut}{suffix}" or "download"
