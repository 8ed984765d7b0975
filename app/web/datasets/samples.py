"""What the page of a data set shows of its items, without reading more of them than it shows."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Final

from models_store.itemset import SPLITS, Item, ItemSet

MOST_COUNTED: Final = 2_000
"""Classes of which each split is counted."""
_LONGEST_TEXT: Final = 400


@dataclass(frozen=True)
class Sample:
    """An item as it is shown."""

    id: str
    name: str
    split: str
    text: str | None


@dataclass(frozen=True)
class Wanted:
    """Items of one class, of one split or of all, from a place on."""

    label: str
    split: str | None = None
    start: int = 0


def of_class(itemset: ItemSet, wanted: Wanted, limit: int, *, text: bool) -> tuple[list[Sample], bool]:
    """The next items of a class, and whether there are more."""
    runs = [itemset.run(split, wanted.label) for split in SPLITS if wanted.split in {None, split}]
    numbers = list(islice(chain(*runs), wanted.start, wanted.start + limit + 1))
    found = (itemset.item(str(number)) for number in numbers[:limit])
    return [_sample(itemset, item, text=text) for item in found], len(numbers) > limit


@lru_cache(maxsize=32)
def counts(directory: Path, labels: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """How many items of each class each split has; the content of a folder never changes."""
    with ItemSet(directory) as itemset:
        return {label: {split: len(itemset.run(split, label)) for split in SPLITS} for label in labels[:MOST_COUNTED]}


def _sample(itemset: ItemSet, item: Item, *, text: bool) -> Sample:
    content = itemset.content(item).decode() if text else None
    if content is not None and len(content) > _LONGEST_TEXT:
        content = f"{content[:_LONGEST_TEXT]}…"
    return Sample(item.id, item.name, item.split, content)
