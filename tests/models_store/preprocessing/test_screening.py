"""No image takes more time or memory than its bytes and its pixels explain."""

import resource
import struct
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest
from PIL import Image

from models_store.errors import InvalidError
from models_store.preprocessing.decoding import open_image
from models_store.preprocessing.screening import MAX_SCANS, Reads
from tests.hostile import pictures
from tests.models_store.samples import encoded, noise

LABORIOUS = pictures.laborious()
_MIB = 2**20


def _opened(content: bytes, answer: Connection) -> None:
    """In a process of its own: what it says, seconds of computing, and bytes that it came to hold beside its input."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    try:
        said = str(open_image(content).image.size)
    except InvalidError as error:
        said = error.code
    seconds = time.process_time() - started
    answer.send((said, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024))


@pytest.mark.parametrize("name", LABORIOUS)
def test_a_picture_that_makes_work_without_end_is_refused_soon(name: str) -> None:
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_opened, args=(LABORIOUS[name], theirs))
    process.start()
    assert ours.poll(30)
    said, seconds, more = ours.recv()
    process.join()
    assert said == "unreadable_image"
    assert seconds < 3
    assert more < 80 * _MIB


def _progressive(scans: int) -> bytes:
    return pictures.jpeg(64, 64, scans=scans)


def test_scans_are_counted_up_to_the_end_of_the_image() -> None:
    assert open_image(_progressive(MAX_SCANS)).image.size == (64, 64)
    assert open_image(_progressive(10) + _progressive(MAX_SCANS)).image.size == (64, 64)
    with pytest.raises(InvalidError, match="complete image"):
        open_image(_progressive(MAX_SCANS + 1))


def test_a_scan_in_a_thumbnail_is_none_of_the_image() -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 4 * 1000) + b"\xff\xda\0\0" * 1000
    content = _progressive(5)
    assert open_image(content[:2] + thumbnail + content[2:]).image.size == (64, 64)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_a_tiff_of_many_strips_is_read(compression: str) -> None:
    content = encoded(Image.new("L", (8, 60_000), 7), "TIFF", compression=compression, strip_size=8)
    assert open_image(content).image.size == (8, 60_000)


@pytest.mark.parametrize("order", ["<", ">"])
def test_strips_are_counted_in_every_kind_of_tiff(order: str) -> None:
    count = 70_000
    name = b"II" if order == "<" else b"MM"
    classic = struct.pack(order + "HIHHHII", 42, 8, 1, 273, 4, count, 30) + bytes(4) + bytes(4 * count)
    big = struct.pack("<HHHQQHHQQ", 43, 8, 0, 16, 1, 273, 4, count, 52) + bytes(8) + bytes(4 * count)
    for content in (name + classic, b"II" + big):
        with pytest.raises(InvalidError):
            open_image(content)


def test_pieces_are_counted() -> None:
    file = Reads(b"x" * 20_000)
    for _ in range(10_000):
        file.read(1)
    with pytest.raises(ValueError, match="pieces"):
        file.read(1)
    file.opened()
    assert file.read(1) == b"x"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_honest_jpegs_pass(options: dict[str, bool | int]) -> None:
    assert open_image(encoded(noise(400, 300), "JPEG", **options)).image.size == (400, 300)
