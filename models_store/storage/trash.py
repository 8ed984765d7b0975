"""Folders on their way out: the manifest lies in ``trash/`` until it is certain that no row needs it, then all goes."""

import secrets
from typing import Final

from models_store.storage import manifest
from models_store.storage.bucket import Bucket
from models_store.storage.manifest import Manifest

TRASH: Final = "trash"


def hide(bucket: Bucket, folder: str, hidden: list[str]) -> None:
    """Move the manifests of a folder, and of folders in it, to the trash; ``hidden`` gets their keys there first."""
    for one in bucket.list(folder):
        if one.key.endswith(f"/{manifest.NAME}"):
            hidden.append(f"{TRASH}/{secrets.token_hex(8)}/{one.key}")
            bucket.move(one.key, hidden[-1])


def purge(bucket: Bucket, hidden: str) -> None:
    """Delete the files of a manifest in the trash, then the manifest."""
    content = bucket.get(hidden)
    if content is None:
        return
    if bucket.get(original(hidden)) == content:  # it was not moved to its end
        bucket.delete([original(hidden)])
    bucket.delete(Manifest.read(content).keys(original(hidden).removesuffix(f"/{manifest.NAME}")))
    bucket.delete([hidden])


def restore(bucket: Bucket, hidden: str) -> None:
    """Put a manifest back in its place; where the folder was stored again meanwhile, this one is not needed."""
    there, content = bucket.get(original(hidden)), bucket.get(hidden)
    if there is None:
        bucket.move(hidden, original(hidden))
    elif there == content:  # it was not moved to its end
        bucket.delete([hidden])
    else:
        purge(bucket, hidden)


def original(hidden: str) -> str:
    """The key that a manifest in the trash had."""
    return hidden.split("/", 2)[2]
