"""Draws a validation split: by class, by seed, and never with one of two copies on each side."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from worker.importing.candidates import Candidate

Unit = tuple[int, int]
"""What goes to one side together: a group of copies, or (in a group that is dissolved) one content of it."""


@dataclass(frozen=True, slots=True)
class Draw:
    """How a validation split is drawn.

    ``regrouped`` draws it anew although the upload brings one; ``by_content`` lets the contents decide which items are
    drawn, instead of their names.
    """

    fraction: float
    seed: int
    regrouped: bool = False
    by_content: bool = False

    def lot(self, item: Candidate) -> bytes:
        """A function of seed, label, and name or content: the lowest ones of a class are drawn."""
        key = f"{item.digest:016x}" if self.by_content else item.name
        return hashlib.sha256(json.dumps([self.seed, item.label, key]).encode()).digest()


def drawn(items: list[Candidate], draw: Draw) -> tuple[list[Candidate], list[Candidate]]:
    """Split items into training and validation.

    Each class of n ≥ 2 items is to give ``max(1, round(fraction * n))`` of them, but never its last. Items without
    copies are drawn by lot; a group of copies is drawn as one, where it fits in what its classes are still to give. A
    class that would be left without validation gives its smallest group; one that is a single group gives nothing.

    Two exceptions keep a set usable. A group that holds a whole class of different contents (they are nearly
    identical) is dissolved: then identical items stay together, but near-identical ones need not. And where no class
    has two different contents, items are drawn one by one.
    """
    dissolved = _whole_classes(items)
    result = _Sides(items, draw, lambda item: _unit(item, dissolved)).drawn()
    return result if result[1] else _Sides(items, draw, lambda _item: None).drawn()


def _unit(item: Candidate, dissolved: set[int]) -> Unit | None:
    if item.group is None:
        return None
    return item.group, item.digest if item.group in dissolved else 0


def _whole_classes(items: list[Candidate]) -> set[int]:
    """Groups that hold all items of some class, though these are not all identical."""
    groups: dict[str, set[int | None]] = defaultdict(set)
    contents: dict[str, set[int]] = defaultdict(set)
    for item in items:
        groups[item.label].add(item.group)
        if item.group is not None and len(groups[item.label]) == 1:
            contents[item.label].add(item.digest)
    return {
        group
        for label, found in groups.items()
        if len(found) == 1 and len(contents[label]) > 1
        for group in found
        if group is not None
    }


class _Sides:
    """Settles what is for validation, class by class."""

    def __init__(self, items: list[Candidate], draw: Draw, unit_of: Callable[[Candidate], Unit | None]) -> None:
        self._items, self._draw, self._unit_of = items, draw, unit_of
        self._classes: dict[str, list[Candidate]] = defaultdict(list)
        self._parts: dict[Unit, Counter[str]] = defaultdict(Counter)  # how many items of each class a unit has
        self._given: Counter[str] = Counter()  # how many items each class gives so far
        self._units: set[Unit] = set()
        self._singles: set[int] = set()
        for item in items:
            self._classes[item.label].append(item)
            unit = unit_of(item)
            if unit is not None:
                self._parts[unit][item.label] += 1

    def drawn(self) -> tuple[list[Candidate], list[Candidate]]:
        """Training and validation."""
        for label in sorted(self._classes):
            self._draw_class(label)
        training: list[Candidate] = []
        validation: list[Candidate] = []
        for item in self._items:
            chosen = self._unit_of(item) in self._units or id(item) in self._singles
            (validation if chosen else training).append(item)
        return training, validation

    def _draw_class(self, label: str) -> None:
        members = self._classes[label]
        members.sort(key=self._draw.lot)
        wanted = self._wanted(label)
        seen: dict[Unit, None] = {}
        for item in members:
            if self._given[label] >= wanted:
                return
            unit = self._unit_of(item)
            if unit is None:
                self._singles.add(id(item))
                self._given[label] += 1
            elif unit not in seen:
                seen[unit] = None
                self._take_if(unit, self._fits)
        self._draw_smallest(label, wanted, list(seen))

    def _draw_smallest(self, label: str, wanted: int, units: list[Unit]) -> None:
        """One more group for a class that cannot give what is wanted exactly, if that comes nearer."""
        left = [unit for unit in units if unit not in self._units]
        smallest = min(left, key=lambda unit: self._parts[unit][label], default=None)
        missing = wanted - self._given[label]
        if smallest is not None and (self._given[label] == 0 or self._parts[smallest][label] < 2 * missing):
            self._take_if(smallest, self._leaves_training)

    def _take_if(self, unit: Unit, condition: Callable[[Unit], bool]) -> None:
        if unit not in self._units and condition(unit):
            self._units.add(unit)
            self._given.update(self._parts[unit])

    def _fits(self, unit: Unit) -> bool:
        return all(self._given[label] + count <= self._wanted(label) for label, count in self._parts[unit].items())

    def _leaves_training(self, unit: Unit) -> bool:
        return all(self._given[label] + count < len(self._classes[label]) for label, count in self._parts[unit].items())

    def _wanted(self, label: str) -> int:
        count = len(self._classes[label])
        return min(max(1, round(self._draw.fraction * count)), count - 1)
