"""Which item is for training, which for validation, which for the test: settled before anything is written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from models_store.errors import InvalidError
from models_store.itemset import SPLITS
from worker.importing.candidates import Candidate
from worker.importing.draw import Draw, drawn
from worker.importing.duplicates.findings import copies_of_test
from worker.importing.limits import ImportLimits
from worker.importing.problems import Problems

SPLIT_NAMES: Final = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""What folders, files and table cells call a split (in small letters) → its name here."""


@dataclass(frozen=True)
class Arranged:
    """Pairs of split and item, in the order of the manifest. A list of a million pairs would take 64 MB."""

    splits: Mapping[str, Sequence[Candidate]]

    def __iter__(self) -> Iterator[tuple[str, Candidate]]:
        return ((split, item) for split, items in self.splits.items() for item in items)

    def __len__(self) -> int:
        return sum(len(items) for items in self.splits.values())


def arrange(candidates: Iterable[Candidate], draw: Draw, limits: ImportLimits, problems: Problems) -> Arranged:
    """Give every good item its split, and leave out those whose class has nothing to train on.

    A validation split that the upload brings is kept as it is, unless it is to be drawn anew; then training and
    validation items that are copies of test items are left out. For the draw see
    :func:`worker.importing.draw.drawn`: neither the order of the upload nor other items change it. A class with one
    training item stays, and is listed as ``tiny_class``: it can be learnt, but not be validated.

    Raises:
        InvalidError: ``too_few_classes``, ``too_many_classes``, ``too_few_items``.
    """
    given: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        given[candidate.split or "train"].append(candidate)
    if draw.regrouped:
        given["train"] = _apart_from_test(given["train"] + given.pop("validation", []), given["test"], problems)
    training = Counter(candidate.label for candidate in given["train"])
    _check_classes(training, limits)
    for split in ("validation", "test"):
        given[split] = _of_known_classes(given[split], training, problems)
    _list_tiny_classes(training, problems)
    if not given["validation"]:
        given["train"], given["validation"] = drawn(given["train"], draw)
        _list_copied_classes(training, given["validation"], problems)
    if not given["validation"]:
        raise InvalidError(
            "too_few_items",
            f"No class has two good training items ({_told(training)}), so none is left to validate with. "
            "Add items, or a validation split.",
        )
    for split in SPLITS:
        given[split].sort(key=lambda item: (item.label, item.name))
    return Arranged({split: given[split] for split in SPLITS})


def _apart_from_test(items: list[Candidate], test: list[Candidate], problems: Problems) -> list[Candidate]:
    """The items that are no copies of test items; the others are listed, an entry a group."""
    tested = {item.group: item for item in reversed(test) if item.group is not None}
    left_out: dict[int, list[str]] = defaultdict(list)
    for item in items:
        if item.group in tested and item.group is not None:
            left_out[item.group].append(item.name)
    for entry in copies_of_test((tested[group].name, sorted(names)) for group, names in left_out.items()):
        problems.add(**entry)
    return [item for item in items if item.group not in left_out]


def _check_classes(training: Counter[str], limits: ImportLimits) -> None:
    if len(training) < 2:
        found = f"one class ({_told(training)})" if training else "no good training item"
        raise InvalidError("too_few_classes", f"There is {found}. Give at least two classes with two good items each.")
    if len(training) > limits.classes:
        raise InvalidError(
            "too_many_classes", f"There are {len(training):,} classes. Give at most {limits.classes:,} of them."
        )


def _of_known_classes(items: list[Candidate], training: Counter[str], problems: Problems) -> list[Candidate]:
    known = []
    for item in items:
        if item.label in training:
            known.append(item)
        else:
            problems.add(
                item.name,
                "unknown_label",
                f"The training split has no item of class {item.label!r}. Add some, or leave this one out.",
            )
    return known


def _list_tiny_classes(training: Counter[str], problems: Problems) -> None:
    for label in sorted(label for label, count in training.items() if count == 1):
        problems.add(label, "tiny_class", "This class has one good training item; it is kept. Add more of them.")


def _list_copied_classes(training: Counter[str], validation: list[Candidate], problems: Problems) -> None:
    """Classes of several items that nevertheless could give none to validate with."""
    if validation:
        for label in sorted(
            {label for label, count in training.items() if count > 1}.difference(item.label for item in validation)
        ):
            problems.add(
                label,
                "tiny_class",
                "The training items of this class are copies of one another or of other classes' items, so none could "
                "be set apart to validate with. Add different ones.",
            )


def _told(training: Counter[str], most: int = 5) -> str:
    counts = ", ".join(f"{label!r}: {count}" for label, count in sorted(training.items())[:most])
    return counts + (", …" if len(training) > most else "")
