"""A zip larger than what 32 bits can count, without a byte of it on any disk."""

import struct
import zipfile
from collections import deque
from collections.abc import Iterator
from io import BytesIO

import pytest

from models_store.exchange.archive import Member, stream

NOON = 1_735_732_800.0


def test_members_come_out_as_they_went_in() -> None:
    members = [Member.of("읽기.md", "가나다".encode()), Member("large", 3 * 2**20, lambda: [b"x" * 2**20] * 3)]
    with zipfile.ZipFile(BytesIO(b"".join(stream(members, NOON)))) as archive:
        assert archive.testzip() is None
        assert archive.read("읽기.md").decode() == "가나다"
        assert archive.read("large") == b"x" * 3 * 2**20
        assert archive.getinfo("large").date_time == (2025, 1, 1, 12, 0, 0)


def test_the_first_bytes_come_before_the_last_are_made() -> None:
    made: list[int] = []

    def content() -> Iterator[bytes]:
        for number in range(10):
            made.append(number)
            yield b"x" * 1000

    pieces = stream([Member("large", 10_000, content)], NOON)
    assert b"xxx" in next(pieces)
    assert len(made) == 1


@pytest.mark.slow
def test_sizes_beyond_four_gibibytes_are_told_in_64_bits() -> None:
    count = 5 * 2**8  # of 4 MiB: 5 GiB
    chunk = bytes(2**22)
    last = deque(stream([Member("large", count * 2**22, lambda: (chunk for _ in range(count)))], NOON), maxlen=1)[0]
    assert struct.pack("<Q", count * 2**22) in last
