"""What processes that were killed have left in a shared store. Every rule errs towards keeping."""

import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from models_store.errors import UnavailableError
from models_store.storage import manifest, trash
from models_store.storage.bucket import Bucket, Listed
from models_store.storage.manifest import Manifest

CUT_OFF_SECONDS: Final = 600.0
"""A deletion that is not through after this long was cut off; an upload is named by a row within this time."""
STALE_SECONDS: Final = 86_400.0
"""What was stored this long ago is named by a row, if it ever will be; so long may one folder take to be stored."""
TOKEN: Final = re.compile(r"\d+-[0-9a-f]{16}")
PASSING: Final = ("uploads/", "scratch/")
"""Files without a manifest, which are in the store for as long as they are needed."""

Needed = Callable[[str], bool]
"""Whether a row needs what has this key: ``KIND/NAME``."""


@dataclass
class _Folder:
    """What lies under one manifest's key: its tokens, and when the last object of each was written."""

    manifest_at: float | None = None
    tokens: dict[str, float] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, token: str, one: Listed) -> None:
        self.tokens[token] = max(one.written_at, self.tokens.get(token, 0.0))
        self.keys[token].append(one.key)


def settle(bucket: Bucket, needed: Needed) -> list[str]:
    """End deletions and writings that were cut off.

    Returns:
        ``KIND/NAME`` of all that has been there for long; a row needs it, or it has been left.
    """
    now = time.time()
    listed = list(bucket.list(""))
    hidden = [one for one in listed if one.key.startswith(f"{trash.TRASH}/")]
    for one in hidden:
        if now - one.written_at > CUT_OFF_SECONDS:
            with contextlib.suppress(UnavailableError):  # it cannot be read: the next one can
                (trash.restore if needed(_name(trash.original(one.key))) else trash.purge)(bucket, one.key)
    folders = _folders(listed)
    unsettled = {trash.original(one.key).removesuffix(f"/{manifest.NAME}") for one in hidden}
    for key, folder in folders.items():
        if key not in unsettled:
            _remove_unfinished(bucket, key, folder, now)
    old = {_name(key) for key, folder in folders.items() if _older(folder.manifest_at, STALE_SECONDS, now)}
    return sorted(old | _passing(listed, now))


def _folders(listed: Iterable[Listed]) -> dict[str, _Folder]:
    found: dict[str, _Folder] = defaultdict(_Folder)
    for one in listed:
        parts = one.key.split("/")
        place = next((place for place, part in enumerate(parts) if TOKEN.fullmatch(part)), None)
        if parts[0] == trash.TRASH:
            continue
        if place is not None:
            found["/".join(parts[:place])].add(parts[place], one)
        elif parts[-1] == manifest.NAME:
            found["/".join(parts[:-1])].manifest_at = one.written_at
    return found


def _remove_unfinished(bucket: Bucket, key: str, folder: _Folder, now: float) -> None:
    """Files under tokens that the manifest does not name."""
    old = {token for token, written_at in folder.tokens.items() if _older(written_at, STALE_SECONDS, now)}
    if not old or (folder.manifest_at is not None and len(folder.tokens) == 1):
        return
    content = bucket.get(f"{key}/{manifest.NAME}")
    with contextlib.suppress(UnavailableError):
        named = set() if content is None else {Manifest.read(content).token}
        bucket.delete([one for token in old - named for one in folder.keys[token]])


def _passing(listed: Iterable[Listed], now: float) -> set[str]:
    """Uploads, and files of attempts, of which nothing was written lately."""
    latest: dict[str, float] = {}
    for one in listed:
        if one.key.startswith(PASSING):
            latest[_name(one.key)] = max(one.written_at, latest.get(_name(one.key), 0.0))
    return {name for name, at in latest.items() if _older(at, CUT_OFF_SECONDS, now)}


def _name(key: str) -> str:
    return "/".join(key.split("/")[:2])


def _older(moment: float | None, seconds: float, now: float) -> bool:
    return moment is not None and now - moment > seconds
