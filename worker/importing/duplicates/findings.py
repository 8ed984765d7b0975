"""Copies as they are told: an entry a group, the largest ones first, and never more than a person may read."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from worker.importing.candidates import Candidate
from worker.importing.oddities import quoted
from worker.importing.problems import Problem, problem

LISTED: Final = 100
"""Groups that are listed of each kind."""


@dataclass(frozen=True)
class Group:
    """Copies of one another; ``members`` are pairs of final split and item, in the order of the manifest."""

    members: list[tuple[str, Candidate]]

    @property
    def item(self) -> str:
        """What the entry is named by."""
        return self.members[0][1].name

    @property
    def splits(self) -> list[str]:
        """The splits over which the group spreads."""
        return list(dict.fromkeys(split for split, _item in self.members))

    @property
    def identical(self) -> bool:
        """Whether all members have the same content."""
        return len({item.digest for _split, item in self.members}) == 1

    def alike(self) -> "Iterator[Group]":
        """The identical items among the members."""
        contents: dict[int, list[tuple[str, Candidate]]] = defaultdict(list)
        for member in self.members:
            contents[member[1].digest].append(member)
        return (Group(members) for members in contents.values() if len(members) > 1)

    @property
    def labels(self) -> Counter[str]:
        """How many members each class has."""
        return Counter(item.label for _split, item in self.members)

    def told(self) -> str:
        """As in: 3 items ('a.jpg', 'b.jpg', 'c.jpg') of class 'ants'."""
        names = quoted((item.name for _split, item in self.members), len(self.members))
        labels = ", ".join(repr(label[:80]) for label in sorted(self.labels)[:5])
        return f"{len(self.members):,} items ({names}) of {'class' if len(self.labels) == 1 else 'classes'} {labels}"


def findings(arranged: Iterable[tuple[str, Candidate]], *, regrouped: bool) -> list[Problem]:
    """Problem entries for all copies in a set.

    Identical items of different labels are ``conflicting_labels``; copies in different splits are
    ``duplicate_across_splits`` or ``near_duplicate_across_splits``; what is neither, ``duplicate_items`` or
    ``near_duplicate_items``. A group has one entry; only conflicting labels and spread over splits are two faults.
    """
    groups: dict[int, list[tuple[str, Candidate]]] = defaultdict(list)
    for split, item in arranged:
        if item.group is not None:
            groups[item.group].append((split, item))
    entries: dict[str, list[tuple[int, Problem]]] = defaultdict(list)
    for members in groups.values():
        for entry in _entries(Group(members), regrouped=regrouped) if len(members) > 1 else ():
            entries[entry["code"]].append((len(members), entry))
    return [entry for code in _CODES for entry in _bounded(code, entries[code])]


def copies_of_test(left_out: Iterable[tuple[str, list[str]]]) -> Iterator[Problem]:
    """Problem entries for groups that were left out: a test item, and the names of its copies in other splits."""
    code = "copy_of_test_item"
    entries = [
        (
            len(names),
            problem(
                names[0],
                code,
                f"Left out, as copies of test item {quoted([tested], 1)}: {len(names):,} items "
                f"({quoted(names, len(names))}). Remove them from your files, or the test item.",
            ),
        )
        for tested, names in left_out
    ]
    return _bounded(code, entries)


_CODES: Final = (
    "conflicting_labels",
    "duplicate_across_splits",
    "near_duplicate_across_splits",
    "duplicate_items",
    "near_duplicate_items",
)


def _entries(group: Group, *, regrouped: bool) -> Iterator[Problem]:
    conflicts = [part for part in group.alike() if len(part.labels) > 1]
    for part in conflicts:
        counts = ", ".join(f"{label[:80]!r}: {count}" for label, count in sorted(part.labels.items())[:5])
        yield problem(
            part.item,
            "conflicting_labels",
            f"The same content has different labels ({counts}): {part.told()}. Decide on one, and upload again.",
        )
    spread = [part for part in group.alike() if len(part.splits) > 1]
    if spread:
        yield _across(spread[0], "duplicate_across_splits", "identical", regrouped=regrouped)
    elif len(group.splits) > 1:
        yield _across(group, "near_duplicate_across_splits", "nearly identical", regrouped=regrouped)
    elif not conflicts:
        yield _within(group)


def _across(group: Group, code: str, how: str, *, regrouped: bool) -> Problem:
    advice = (
        "Add items that differ more"
        if regrouped
        else "Upload again with split=grouped, which draws a split that keeps copies together, or remove the copies"
    )
    told = f"{group.told()} are {how} and lie in {' and '.join(group.splits)}: figures measured there are too good."
    return problem(group.item, code, f"{told} {advice}.")


def _within(group: Group) -> Problem:
    code = "duplicate_items" if group.identical else "near_duplicate_items"
    how = "identical" if group.identical else "nearly identical"
    return problem(group.item, code, f"{group.told()} are {how}. They are kept, on one side; remove all but one.")


def _bounded(code: str, entries: list[tuple[int, Problem]]) -> Iterator[Problem]:
    entries.sort(key=lambda entry: (-entry[0], entry[1]["item"]))
    yield from (entry for _size, entry in entries[:LISTED])
    more = entries[LISTED:]
    if more:
        items = sum(size for size, _entry in more)
        yield problem(
            more[0][1]["item"],
            code,
            f"{len(more):,} more groups of this kind, of {items:,} items, are not listed. Mend the listed ones first.",
        )
