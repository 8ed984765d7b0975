"""Makes uploads, good and bad, and imports them."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from models_store.itemset import Item, ItemSet
from worker.importing import ImportFailedError, ImportLimits, ImportOptions, ImportResult, import_upload
from worker.importing.problems import Problem


def picture(shade: int = 0, kind: str = "JPEG", side: int = 8, mode: str = "RGB") -> bytes:
    """A plain image; another shade, of a thousand, is another file, for JPEG too, which keeps no finer ones."""
    file = io.BytesIO()
    image = Image.new("RGB", (side, side), (shade % 32 * 8, shade // 32 * 8, 7))
    (image.convert("L") if mode == "I;16" else image).convert(mode).save(file, kind)
    return file.getvalue()


def pictures(*folders: str, count: int = 2) -> dict[str, bytes]:
    """``count`` JPEG files in each folder."""
    names = [f"{folder}/{number}.jpg" for folder in folders for number in range(count)]
    return {name: picture(shade) for shade, name in enumerate(names)}


def zipped(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of these files, in this order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


class Imports:
    """Imports uploads into one folder, with whatever limits a test needs."""

    def __init__(self, folder: Path) -> None:
        self.destination = folder / "datasets"
        self._upload = folder / "upload"
        self.limits = ImportLimits()

    def run(self, content: bytes, filename: str = "set.zip", options: ImportOptions | None = None) -> ImportResult:
        """Import an upload."""
        self._upload.write_bytes(content)
        return import_upload(
            self._upload, filename, options or ImportOptions(), self.destination, self.limits, lambda _fraction: None
        )

    def failure(
        self, content: bytes, filename: str = "set.zip", options: ImportOptions | None = None
    ) -> ImportFailedError:
        """Import an upload that cannot be used."""
        try:
            result = self.run(content, filename, options)
        except ImportFailedError as error:
            return error
        raise AssertionError(f"was imported: {result}")

    def items(self, result: ImportResult) -> list[Item]:
        """The items of an imported set, in the manifest's order."""
        with self.open(result) as itemset:
            return list(itemset.items())

    def open(self, result: ImportResult) -> ItemSet:
        """The imported set."""
        return ItemSet(self.destination / result.fingerprint.removeprefix("sha256:"))


def codes(problems: list[Problem]) -> dict[str, str]:
    """Bad item → its code."""
    return {problem["item"]: problem["code"] for problem in problems}
