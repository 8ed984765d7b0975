"""Weights by URL as torch.hub keeps them, but with timeouts and never half-written; and those of Hugging Face's hub."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

# Of the hub: no network, refused by the server, no such file, no room, a name that it cannot have.
_HUB_ERRORS = (EntryNotFoundError, HfHubHTTPError, httpx.HTTPError, OSError, ValueError)

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.[a-z.]+$")


class DownloadError(Exception):
    """The file could not be fetched; the message says why."""


def hub_cache(url: str) -> Path:
    """Where torch.hub keeps the file of this URL (``TORCH_HOME`` moves it), whether it is there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name


def download(url: str) -> Path:
    """Fetch the file into torch.hub's cache; the first digits of its SHA-256, which its name holds, are checked.

    Raises:
        DownloadError: no connection, an error of the server, a wrong hash, or no room.
    """
    final = hub_cache(url)
    partial = final.with_name(f".{secrets.token_hex(8)}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _check_hash(final.name, _fetch(url, partial))
        partial.replace(final)
    except (httpx.HTTPError, OSError) as error:
        raise DownloadError(f"{type(error).__name__}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return final


def _fetch(url: str, path: Path) -> str:
    """SHA-256 of what was written to ``path``."""
    digest = hashlib.sha256()
    with httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT) as response, path.open("xb") as file:
        response.raise_for_status()
        for chunk in response.iter_bytes():
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _check_hash(name: str, sha256: str) -> None:
    wanted = _HASH_IN_NAME.search(name)
    if wanted and not sha256.startswith(wanted[1]):
        raise DownloadError(f"what came has the hash {sha256}, and {name} was asked for")


def from_hugging_face(repository: str, names: Sequence[str], *, online: bool) -> Path:
    """The first of these files that the repository has, from Hugging Face's cache (``HF_HOME`` moves it) or its hub.

    Raises:
        DownloadError: not cached, or not to be fetched (``HF_HUB_OFFLINE`` forbids it).
    """
    for name in names:
        path = hugging_face_folder(repository, [name], online=online) / name
        if path.is_file():
            return path
    raise DownloadError("no such file")


def hugging_face_folder(repository: str, patterns: Sequence[str], *, online: bool) -> Path:
    """Folder with those files of the repository that match ``patterns``; from the cache alone, it may be incomplete.

    Raises:
        DownloadError: not cached, or not to be fetched (``HF_HUB_OFFLINE`` forbids it).
    """
    try:
        # not hf_hub_download, which tries an unreachable hub again for half a minute
        folder = snapshot_download(  # nosec B615 # the newest; tensors and JSON
            repository, allow_patterns=list(patterns), local_files_only=not online, etag_timeout=10.0
        )
    except _HUB_ERRORS as error:
        raise DownloadError(type(error).__name__) from error
    return Path(folder)
