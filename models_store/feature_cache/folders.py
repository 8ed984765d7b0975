"""Where features lie: ``store/features/KEY/SOURCE/NAME.rows``, and ``store/trunks/TRUNK/served/SOURCE/`` at a trunk.

The key says how they were computed; the source is the data set in whose pass they were: with it they go. What was
computed to compare serving with training lies at the trunk.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

SUFFIX: Final = ".rows"
SERVED: Final = "served"


def root(store_dir: Path) -> Path:
    """Folder of the whole cache; it may be removed at any time."""
    return store_dir / "features"


def sources(store_dir: Path) -> Iterator[Path]:
    """The folders of all data sets under all keys; named by the fingerprint without its prefix."""
    found = chain(root(store_dir).glob("*/*/"), (store_dir / "trunks").glob(f"*/{SERVED}/*/"))
    return (folder for folder in found if not folder.name.startswith("."))  # others are being removed


def source_name(fingerprint: str) -> str:
    """What the folder of a data set with this fingerprint (``sha256:…``) is called."""
    return fingerprint.removeprefix("sha256:")


def of(store_dir: Path, fingerprint: str) -> Iterator[Path]:
    """What was computed for this data set; what other sets share with it is computed anew for them when it goes.

    Earlier versions kept what belongs to a trunk in files that do not tell their data set: those are among it.
    """
    yield from root(store_dir).glob(f"*/{source_name(fingerprint)}/")
    yield from (store_dir / "trunks").glob(f"*/{SERVED}/{source_name(fingerprint)}/")
    yield from (store_dir / "trunks").glob(f"*/{SERVED}/*.safetensors")
