"""Where features lie: ``store/features/KEY/SOURCE/NAME.rows``.

The key says how they were computed; the source is the data set in whose pass they were: with it they go.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SUFFIX: Final = ".rows"


def root(store_dir: Path) -> Path:
    """Folder of the whole cache; it may be removed at any time."""
    return store_dir / "features"


def sources(store_dir: Path) -> Iterator[Path]:
    """The folders of all data sets under all keys; named by the fingerprint without its prefix."""
    return root(store_dir).glob("*/*/")


def source_name(fingerprint: str) -> str:
    """What the folder of a data set with this fingerprint (``sha256:…``) is called."""
    return fingerprint.removeprefix("sha256:")


def forget(store_dir: Path, fingerprint: str) -> None:
    """Remove what was computed for this data set; what other sets share with it is computed anew for them."""
    for folder in root(store_dir).glob(f"*/{source_name(fingerprint)}/"):
        shutil.rmtree(folder, ignore_errors=True)
