"""The content of an imported data set: an immutable folder that is named by the hash of what it holds.

``content.bin`` has the bytes of all items, one after another: image files as they were uploaded, texts as UTF-8.
``manifest.jsonl`` has a line an item, ordered by split (train, validation, test), label and name.
"""

import hashlib
import json
import os
import weakref
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from models_store.errors import NotFoundError, UnavailableError

SPLITS: Final = ("train", "validation", "test")
_FORMAT: Final = b"finetuned item set 1\n"
_MANIFEST: Final = "manifest.jsonl"
_CONTENT: Final = "content.bin"


@dataclass(frozen=True, slots=True)
class Item:
    """One example: ``length`` bytes at ``offset`` of the content. ``id`` is its line in the manifest, from 0."""

    id: str
    name: str
    label: str
    split: str
    sha256: str
    offset: int
    length: int


_KEYS: Final = tuple(field.name for field in fields(Item))


class ItemSetWriter:
    """Streams an item set into the empty folder ``directory``; memory does not grow with the number of items.

    Items come in the manifest's order, so the same items always give the same bytes and the same fingerprint.
    """

    def __init__(self, directory: Path) -> None:
        self._content = (directory / _CONTENT).open("xb")
        self._manifest = (directory / _MANIFEST).open("x", encoding="utf-8", newline="\n")
        self._digest = hashlib.sha256(_FORMAT)
        self._count = 0
        self._last: tuple[int, str, str] | None = None
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def add(self, name: str, label: str, split: str, content: bytes) -> Item:
        """Append an item.

        Raises:
            ValueError: it does not come after the last one in the order (split, label, name).
        """
        self._check_order((SPLITS.index(split), label, name))
        item = Item(str(self._count), name, label, split, hashlib.sha256(content).hexdigest(), self.bytes, len(content))
        self._content.write(content)
        self._manifest.write(json.dumps({key: getattr(item, key) for key in _KEYS}, ensure_ascii=False) + "\n")
        self._digest.update(json.dumps([split, label, name, item.sha256]).encode() + b"\n")
        self._count += 1
        self.bytes += len(content)
        return item

    def finish(self) -> str:
        """Close the files; gives ``sha256:<hex>``, the hash of split, label, name and hash of every item in order."""
        self.close()
        return f"sha256:{self._digest.hexdigest()}"

    def close(self) -> None:
        """Close the files."""
        self._content.close()
        self._manifest.close()

    def _check_order(self, place: tuple[int, str, str]) -> None:
        if self._last is not None and place <= self._last:
            raise ValueError(f"{place} comes after {self._last}")
        self._last = place


class ItemSet:
    """Reads an item set. Threads and forked processes may share one; a pickled one opens its files anew.

    Raises:
        UnavailableError: ``dataset_files_missing``, the folder is not there or not whole.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            self._descriptor = os.open(directory / _CONTENT, os.O_RDONLY)
        except FileNotFoundError as error:
            raise UnavailableError(
                "dataset_files_missing", "The files of this data set are gone. Upload it again."
            ) from error
        self.close = weakref.finalize(self, os.close, self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type["ItemSet"], tuple[Path]]:
        return ItemSet, (self.directory,)

    def items(
        self, split: str | None = None, label: str | None = None, after: str | None = None, limit: int | None = None
    ) -> Iterator[Item]:
        """Iterate lazily in the manifest's order, over the items of one split or label where given.

        Args:
            after: an item's id; starts with the one that follows it.
            limit: the most items to give.

        Raises:
            NotFoundError: (at the first ``next``) ``after`` is no id of this set.
        """
        start = 0 if after is None else self._line_start(after)
        matching = (
            item
            for item in islice(self._read_from(start), 0 if after is None else 1, None)
            if (split is None or item.split == split) and (label is None or item.label == label)
        )
        yield from islice(matching, limit)

    def run(self, split: str, label: str) -> range:
        """The numbers of the items of this split and label, which lie together: found without reading the others."""
        numbers = range(len(self))
        wanted = (SPLITS.index(split), label)
        first, end = (cut(numbers, wanted, key=self._place) for cut in (bisect_left, bisect_right))
        return range(first, end)

    def _place(self, number: int) -> tuple[int, str]:
        item = self.item(str(number))
        return SPLITS.index(item.split), item.label

    def item(self, item_id: str) -> Item:
        """Give one item.

        Raises:
            NotFoundError: ``item_not_found``.
        """
        return next(self._read_from(self._line_start(item_id)))

    def content(self, item: Item) -> bytes:
        """The item's bytes.

        Raises:
            UnavailableError: ``dataset_damaged``, the file is shorter than the manifest says.
        """
        content = os.pread(self._descriptor, item.length, item.offset)
        if len(content) != item.length:
            raise UnavailableError("dataset_damaged", "A file of this data set was cut off. Upload the data set again.")
        return content

    @cached_property
    def labels(self) -> list[str]:
        """The class names, sorted."""
        return sorted({item.label for item in self.items()})

    def __len__(self) -> int:
        return len(self._line_starts)

    @property
    def _line_starts(self) -> "array[int]":
        return _starts(self.directory / _MANIFEST)

    def _line_start(self, item_id: str) -> int:
        number = int(item_id) if item_id.isascii() and item_id.isdecimal() and len(item_id) < 16 else -1
        if str(number) != item_id or not 0 <= number < len(self):
            raise NotFoundError(
                "item_not_found", f"There is no item {item_id[:40]!r} in this data set. List them with GET …/items."
            )
        return self._line_starts[number]

    def _read_from(self, position: int) -> Iterator[Item]:
        with (self.directory / _MANIFEST).open("rb") as manifest:
            manifest.seek(position)
            for line in manifest:
                yield Item(**json.loads(line))


@lru_cache(maxsize=16)
def _starts(manifest: Path) -> "array[int]":
    """Where each line begins: kept, as a page with a hundred pictures asks as often, and it never changes."""
    starts = array("Q")
    position = 0
    with manifest.open("rb") as lines:
        for line in lines:
            starts.append(position)
            position += len(line)
    return starts
