"""A folder as one file, for upload."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_file(path: Path) -> Iterator[Path]:
    """The file itself; a folder becomes a temporary zip, stored without compression.

    Raises:
        FileNotFoundError: there is neither a file nor a folder of that name.
    """
    if not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(f"There is no file or folder {path}. Check the path.")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="finetuned-") as folder:
        archive = Path(folder) / f"{path.resolve().name or 'folder'}.zip"
        _zip(path, archive)
        yield archive


def _zip(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as target:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                target.write(file, file.relative_to(folder).as_posix())
