"""From a few good files to any number of damaged ones, each told again by its number."""

import random
from collections.abc import Callable, Sequence
from typing import Final

_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63, 2**64 - 1)
_MOST_DAMAGES: Final = 8
_LONGEST: Final = 2**20
"""Bytes: what repetition may make of a file."""


def damaged(seeds: Sequence[bytes], words: Sequence[bytes], seed: int, number: int) -> bytes:
    """The file of this number: one of ``seeds``, damaged in some places; ``words`` mean something to the format."""
    chance = random.Random(f"{seed}-{number}")
    content = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, _MOST_DAMAGES)):
        chance.choice(_DAMAGES)(chance, content, seeds, words)
    return bytes(content[:_LONGEST])


def _place(chance: random.Random, content: bytearray) -> int:
    """Anywhere, but half of the time near the beginning, where formats keep what is delicate."""
    return chance.randrange(min(len(content), chance.choice((64, 512, 2**30))) + 1)


def _flip(chance: random.Random, content: bytearray, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> None:
    if content:
        content[min(_place(chance, content), len(content) - 1)] ^= 1 << chance.randrange(8)


def _number(chance: random.Random, content: bytearray, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> None:
    size = chance.choice((1, 2, 4, 8))
    value = (chance.choice(_NUMBERS) % 2 ** (8 * size)).to_bytes(size, chance.choice(("little", "big")))
    place = _place(chance, content)
    content[place : place + size] = value


def _cut(chance: random.Random, content: bytearray, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> None:
    del content[_place(chance, content) :]


def _drop(chance: random.Random, content: bytearray, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> None:
    place = _place(chance, content)
    del content[place : place + chance.randint(1, 64)]


def _repeat(chance: random.Random, content: bytearray, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> None:
    place = _place(chance, content)
    piece = content[place : place + chance.randint(1, 64)]
    content[place:place] = piece * chance.choice((1, 2, 100, 5000))


def _word(chance: random.Random, content: bytearray, _seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    if words:
        place = _place(chance, content)
        content[place : place + chance.choice((0, 4))] = chance.choice(words)


def _splice(chance: random.Random, content: bytearray, seeds: Sequence[bytes], _words: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    start = chance.randrange(len(other) + 1)
    place = _place(chance, content)
    content[place : place + chance.choice((0, 200))] = other[start : start + chance.randint(1, 400)]


def _noise(chance: random.Random, content: bytearray, _seeds: Sequence[bytes], _words: Sequence[bytes]) -> None:
    place = _place(chance, content)
    content[place : place + chance.randint(1, 16)] = chance.randbytes(chance.randint(1, 16))


_Damage = Callable[[random.Random, bytearray, Sequence[bytes], Sequence[bytes]], None]
_DAMAGES: Final[tuple[_Damage, ...]] = (_flip, _number, _cut, _drop, _repeat, _word, _splice, _noise)
