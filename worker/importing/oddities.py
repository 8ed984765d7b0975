"""What looks odd in a set but leaves nothing out: told as warnings, one a kind, however many items it concerns."""

from collections.abc import Iterable, Mapping
from typing import Final

from worker.importing.problems import Problem, problem

SMALL_SIDE: Final = 64
"""Pixels of an image's shorter side."""
NARROW: Final = 4
"""How many times longer than its shorter side an image is."""
LONG_BYTES: Final = 2000
"""About what 512 tokens hold, in English (four letters a token) as in Korean (a syllable, of three bytes, a token)."""
_UNEVEN: Final = 10
_TOLD: Final = 3
_NAME_CHARACTERS: Final = 80


def quoted(names: Iterable[str], count: int) -> str:
    """Some names of ``count`` in quotes; more than three, and long ones, are cut."""
    first = [name for _place, name in zip(range(_TOLD), names, strict=False)]
    told = ", ".join(
        repr(name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…") for name in first
    )
    return told + (", …" if count > len(first) else "")


class Tally:
    """Counts items of one kind, and keeps the lowest names, whatever order they come in."""

    def __init__(self) -> None:
        self.count = 0
        self._names: list[str] = []

    def add(self, name: str) -> None:
        """Count an item."""
        self.count += 1
        if len(self._names) < _TOLD or name < self._names[-1]:
            self._names = sorted([*self._names, name])[:_TOLD]

    def told(self, of: int, things: str) -> str:
        """As in: 12 of 300 images (4%: 'a.jpg', 'b.jpg', …)."""
        return f"{self.count:,} of {of:,} {things} ({self.count / of:.0%}: {quoted(self._names, self.count)})"

    @property
    def first(self) -> str:
        """The lowest name."""
        return self._names[0]


class ImageOddities:
    """Sizes that pretrained backbones were not made for."""

    def __init__(self) -> None:
        self._images = 0
        self._small, self._narrow = Tally(), Tally()

    def add(self, name: str, width: int, height: int) -> None:
        """Look at the next image; sides in pixels."""
        self._images += 1
        if min(width, height) < SMALL_SIDE:
            self._small.add(name)
        if max(width, height) > NARROW * min(width, height):
            self._narrow.add(name)

    def found(self) -> Iterable[Problem]:
        """What was odd in them all."""
        if self._small.count:
            told = self._small.told(self._images, "images")
            yield problem(
                self._small.first,
                "small_images",
                f"{told} have a side under {SMALL_SIDE} pixels and are enlarged to what the backbone reads. "
                "Send larger ones if you have them.",
            )
        if self._narrow.count:
            told = self._narrow.told(self._images, "images")
            yield problem(
                self._narrow.first,
                "narrow_images",
                f"{told} are over {NARROW} times longer than wide, or wider than long; most backbones see their middle "
                "alone. Cut them to what matters.",
            )


class TextOddities:
    """Lengths that are not those of sentences."""

    def __init__(self) -> None:
        self._texts = 0
        self._short, self._long = Tally(), Tally()

    def add(self, name: str, text: str, length: int) -> None:
        """Look at the next text; its length in bytes."""
        self._texts += 1
        if length <= LONG_BYTES and len(text.split(maxsplit=1)) < 2:
            self._short.add(name)
        if length > LONG_BYTES:
            self._long.add(name)

    def found(self) -> Iterable[Problem]:
        """What was odd in them all."""
        if self._short.count:
            told = self._short.told(self._texts, "texts")
            yield problem(
                self._short.first,
                "one_word_texts",
                f"{told} are one word. Look whether they lost the rest of their text.",
            )
        if self._long.count:
            told = self._long.told(self._texts, "texts")
            yield problem(
                self._long.first,
                "long_texts",
                f"{told} have over {LONG_BYTES:,} bytes, which is about 512 tokens; most backbones read no more and "
                "leave out the rest. Put what matters first, or cut them up.",
            )


def uneven_classes(training: Mapping[str, int]) -> Iterable[Problem]:
    """Whether some class has far more training items than another."""
    rare, common = (
        min(training, key=lambda label: (training[label], label)),
        max(training, key=lambda label: training[label]),
    )
    if training[common] > _UNEVEN * training[rare]:
        yield problem(
            rare,
            "uneven_classes",
            f"{quoted([common], 1)} has {training[common]:,} training items, {quoted([rare], 1)} {training[rare]:,}. "
            "Train with class_weights or sampling set to balanced, and read the report by class.",
        )
