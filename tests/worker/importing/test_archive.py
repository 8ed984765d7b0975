import dataclasses
import io
import random
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.worker.importing.uploads import Imports, codes, picture, pictures, zipped
from worker.importing import ImportFailedError

TWO = pictures("ants", "bees", count=3)
Tamper = Callable[[dict[str, zipfile.ZipInfo]], None]


def tampered(files: dict[str, bytes], tamper: Tamper) -> bytes:
    """An archive whose directory, written last, tells what ``tamper`` makes of its entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        tamper(archive.NameToInfo)
    return file.getvalue()


def with_entry(name: str, mode: int = 0) -> bytes:
    """The good archive and one more entry, whose name the library would not write by itself."""
    file = io.BytesIO(zipped(TWO))
    info = zipfile.ZipInfo("x")
    info.filename = name
    info.external_attr = mode << 16
    with zipfile.ZipFile(file, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        archive.writestr(info, picture(99))
    return file.getvalue()


def slow_picture(seed: int) -> bytes:
    """Noise that takes far longer to decode than to read, as a PNG of more than half a megabyte."""
    file = io.BytesIO()
    Image.frombytes("RGB", (450, 450), random.Random(seed).randbytes(450 * 450 * 3)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def only_problem(imports: Imports, archive: bytes) -> str:
    """The code of the single bad item, beside which all good ones were imported."""
    result = imports.run(archive)
    assert sum(result.splits.values()) == len(TWO)
    (problem,) = result.problems
    return problem["code"]


@pytest.mark.parametrize(
    "name",
    [
        "../../x.jpg",
        "ants/../../x.jpg",
        "/etc/x.jpg",
        "C:/ants/x.jpg",
        "c:x.jpg",
        "ants\\x.jpg",
        "..\\x.jpg",
        "ants/x\0.jpg",
        ".",
    ],
)
def test_unsafe_paths_are_refused_alone(imports: Imports, name: str) -> None:
    assert only_problem(imports, with_entry(name)) == "unsafe_path"


def test_nothing_is_written_under_the_names_of_an_archive(imports: Imports) -> None:
    before = set(imports.destination.parent.parent.iterdir())
    result = imports.run(with_entry("../../escaped.jpg"))
    folder = imports.destination / result.fingerprint.removeprefix("sha256:")
    assert {path.name for path in folder.iterdir()} == {"content.bin", "manifest.jsonl"}
    assert set(imports.destination.parent.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("mode", "code"),
    [(stat.S_IFLNK, "symlink"), (stat.S_IFIFO, "not_a_file"), (stat.S_IFCHR, "not_a_file")],
)
def test_links_and_devices_are_refused_alone(imports: Imports, mode: int, code: str) -> None:
    assert only_problem(imports, with_entry("ants/link.jpg", mode | 0o777)) == code


@pytest.mark.parametrize("name", ["ants/0.jpg", "./ants/0.jpg", "ants//0.jpg"])
def test_of_two_files_with_one_path_the_first_counts(imports: Imports, name: str) -> None:
    assert only_problem(imports, with_entry(name)) == "duplicate_name"


def test_names_that_differ_by_normal_form_alone_are_one(imports: Imports) -> None:
    files = {**TWO, "ants/caf\u00e9.jpg": picture(20), "ants/cafe\u0301.jpg": picture(21)}
    result = imports.run(zipped(files))
    assert [problem["code"] for problem in result.problems] == ["duplicate_name"]


def test_names_that_differ_by_case_are_two(imports: Imports) -> None:
    result = imports.run(zipped({**TWO, "ants/X.jpg": picture(20), "ants/x.jpg": picture(21)}))
    assert result.problems == []
    assert sum(result.splits.values()) == len(TWO) + 2


def test_a_class_whose_splits_write_it_in_two_normal_forms_is_one_class(imports: Imports) -> None:
    files = pictures("train/caf\u00e9", "train/tea", "val/cafe\u0301", "val/tea")
    result = imports.run(zipped(files))
    assert result.classes == [{"label": "caf\u00e9", "count": 4}, {"label": "tea", "count": 4}]


def test_utf8_names_that_are_not_marked_as_such_are_understood(imports: Imports) -> None:
    archive = zipped(pictures("개미", "ants")).replace(b"\x14\0\0\x08", b"\x14\0\0\0")
    assert [row["label"] for row in imports.run(archive).classes] == ["ants", "개미"]


@pytest.mark.parametrize("name", ["ants/CON", "ants/" + "n" * 300 + ".jpg", "ants/\u202egpj.x.jpg", "ants/a\nb.jpg"])
def test_names_that_a_disk_would_not_take_are_harmless(imports: Imports, name: str) -> None:
    result = imports.run(zipped({**TWO, name: picture(50)}))
    assert result.problems == []
    assert name in [item.name for item in imports.items(result)]


def test_encrypted_members_are_refused_alone(imports: Imports) -> None:
    def encrypt(entries: dict[str, zipfile.ZipInfo]) -> None:
        entries["ants/secret.jpg"].flag_bits |= 1

    assert only_problem(imports, tampered({**TWO, "ants/secret.jpg": picture(99)}, encrypt)) == "encrypted"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(imports: Imports, method: int) -> None:
    file = io.BytesIO(zipped(TWO))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("ants/rare.jpg", picture(99), method)
    assert only_problem(imports, file.getvalue()) == "unsupported_compression"


def test_a_member_with_a_wrong_checksum_is_refused_alone(imports: Imports) -> None:
    marked = picture(99) + b"MARK"
    archive = zipped({**TWO, "ants/bad.jpg": marked}).replace(b"MARK", b"XXXX")
    assert codes(imports.run(archive).problems) == {"ants/bad.jpg": "corrupt_member"}


def test_a_member_that_unpacks_to_more_than_declared_is_refused_alone(imports: Imports) -> None:
    def shrink(entries: dict[str, zipfile.ZipInfo]) -> None:
        entries["ants/x.jpg"].file_size = 10

    assert only_problem(imports, tampered({**TWO, "ants/x.jpg": picture(99)}, shrink)) == "corrupt_member"


def test_actual_bytes_count_where_more_are_declared(imports: Imports) -> None:
    def grow(entries: dict[str, zipfile.ZipInfo]) -> None:
        entries["ants/0.jpg"].file_size = 9_000_000

    result = imports.run(tampered(TWO, grow))
    assert result.bytes == sum(map(len, TWO.values()))


def test_a_member_over_the_limit_is_refused_alone(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, item_bytes=5000)
    assert only_problem(imports, zipped({**TWO, "ants/big.jpg": picture(9) + bytes(5000)})) == "item_too_large"


def test_a_member_that_unpacks_to_a_thousandfold_is_a_bomb(imports: Imports) -> None:
    noise = random.Random(0).randbytes(200_000)  # the archive as a whole is within the ratio
    archive = zipped({**TWO, "ants/noise": noise, "ants/bomb.png": bytes(20_000_000)}, method=zipfile.ZIP_DEFLATED)
    assert imports.failure(archive).code == "archive_bomb"


def test_members_that_together_unpack_to_a_thousandfold_are_a_bomb(imports: Imports) -> None:
    bombs = {f"ants/bomb{number}.png": bytes(4_000_000) for number in range(4)}
    archive = zipped({**TWO, **bombs}, method=zipfile.ZIP_DEFLATED)
    assert imports.failure(archive).code == "archive_bomb"


def test_a_blank_picture_is_no_bomb(imports: Imports) -> None:
    blank = {"ants/blank.bmp": picture(0, "BMP", 800)}
    assert imports.run(zipped({**TWO, **blank}, method=zipfile.ZIP_DEFLATED)).problems == []


def test_members_that_share_their_bytes_are_a_bomb(imports: Imports) -> None:
    def overlap(entries: dict[str, zipfile.ZipInfo]) -> None:
        entries["ants/1.jpg"].header_offset = entries["ants/0.jpg"].header_offset

    assert imports.failure(tampered(TWO, overlap)).code == "archive_bomb"


def test_a_member_that_claims_the_rest_of_the_archive_is_a_bomb(imports: Imports) -> None:
    def claim(entries: dict[str, zipfile.ZipInfo]) -> None:
        entries["ants/0.jpg"].compress_size = 1500

    assert imports.failure(tampered(TWO, claim)).code == "archive_bomb"


def test_unpacked_bytes_are_limited_in_all(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, total_bytes=2000)
    assert imports.failure(zipped(TWO)).code == "dataset_too_large"


def test_entries_are_limited_before_they_are_read(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, files=100)
    archive = zipped({**TWO, **{f"ants/e{number}.jpg": b"" for number in range(200)}})
    assert imports.failure(archive).code == "too_many_files"


def test_a_directory_that_declares_much_more_costs_no_memory(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, files=100)
    size = 60_000_000
    archive = bytes(size) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 6, 6, size, 0, 0)
    tracemalloc.start()
    code = imports.failure(archive).code
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code == "too_many_files"
    assert peak < 10_000_000


def test_empty_files_by_the_thousand_are_each_a_problem(imports: Imports) -> None:
    result = imports.run(zipped({**TWO, **{f"ants/e{number}.jpg": b"" for number in range(3000)}}))
    assert len(result.problems) == 3000


def test_with_too_many_problems_the_import_fails_and_tells_them(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, problems=10)
    failure = imports.failure(zipped({**TWO, **{f"ants/e{number}.jpg": b"" for number in range(50)}}))
    assert failure.code == "too_many_problems"
    assert len(failure.problems) == 10


@pytest.mark.parametrize("archive", [b"", b"no zip at all", zipped(TWO)[:-30], zipped(TWO)[40:], zipped(TWO)[:2000]])
def test_a_broken_archive_is_refused(imports: Imports, archive: bytes) -> None:
    assert imports.failure(archive).code == "unreadable_archive"


def test_a_member_that_is_an_archive_is_not_opened(imports: Imports) -> None:
    assert only_problem(imports, zipped({**TWO, "ants/more.zip": zipped(TWO)})) == "not_an_image"


def test_memory_does_not_grow_with_the_archive(imports: Imports) -> None:
    count = 60
    archive = zipped({f"{'ab'[n % 2]}/{n}.png": slow_picture(n) for n in range(count)})
    tracemalloc.start()
    result = imports.run(archive)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.bytes > count * 500_000
    assert peak < result.bytes / 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_an_archive_escapes_as_another_error(imports: Imports, data: st.DataObject) -> None:
    archive = bytearray(zipped(TWO, method=zipfile.ZIP_DEFLATED))
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = imports.run(bytes(archive))
    except ImportFailedError as error:
        assert error.message
    else:
        assert sum(result.splits.values()) <= len(TWO)
