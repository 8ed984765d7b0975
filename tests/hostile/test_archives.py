"""Zip archives that want out of their folder, or to become more than they are; through the real import."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e import sets
from tests.e2e.service import Service
from tests.hostile import forms
from tests.hostile.tenant import Tenant

_MIB = 2**20


def _good() -> list[tuple[str, bytes]]:
    return [(f"{colour}/{n}.jpg", sets.picture(colour, n)) for colour in ("red", "blue") for n in range(4)]


def _codes(dataset: dict[str, Any]) -> set[str]:
    return {problem["code"] for problem in dataset["problems"]}


def _files(service: Service) -> set[str]:
    return {path.name for path in service.folder.rglob("*")}


EVIL_NAMES = [
    "../../evil-canary.jpg",
    "red/../../../../evil-canary.jpg",
    "/tmp/evil-canary.jpg",  # noqa: S108 - where it must not come
    "..\\..\\evil-canary.jpg",
    "C:\\evil-canary.jpg",
    "C:evil-canary.jpg",
    "//server/share/evil-canary.jpg",
    "red/evil-canary\0.jpg",
    "~/evil-canary.jpg",
    "red/./../../evil-canary.jpg",
    "file:///tmp/evil-canary.jpg",
    "red/\u202egpj.evil-canary.jpg",
    "red/evil-canary\n.jpg",
    "red/CON.evil-canary.jpg",
    "red/" + "a" * 300 + "evil-canary.jpg",
    "/".join("d" * 50 for _ in range(200)) + "/evil-canary.jpg",
]


@pytest.mark.parametrize("rate", [1])
def test_no_name_in_an_archive_becomes_one_on_the_disk(rate: int, ann: Tenant, service: Service) -> None:
    evil = [(name, sets.picture("red", 90 + place)) for place, name in enumerate(EVIL_NAMES)]
    dataset = ann.imported("evil.zip", forms.archive([*_good(), *evil * rate]))
    assert dataset["status"] == "ready", dataset["error"]
    assert "unsafe_path" in _codes(dataset)
    assert not [name for name in _files(service) if "evil-canary" in name]
    assert sum(one["count"] for one in dataset["classes"]) >= 8


def test_links_and_devices_in_an_archive_are_not_followed(ann: Tenant, service: Service) -> None:
    buffer = io.BytesIO(forms.archive(_good()))
    with zipfile.ZipFile(buffer, "a") as archive:
        for place, kind in enumerate((stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO)):
            info = zipfile.ZipInfo(f"red/link{place}.jpg")
            info.external_attr = (kind | 0o777) << 16
            archive.writestr(info, f"{service.data_dir}/finetuned.db")
    dataset = ann.imported("links.zip", buffer.getvalue())
    assert {"symlink", "not_a_file"} <= _codes(dataset)
    items = ann.client.get(f"/datasets/{dataset['id']}/items", params={"limit": 100}).json()["data"]
    assert not [item for item in items if "link" in item["name"]]


def test_of_equal_names_one_counts_and_names_that_differ_by_case_are_two(ann: Tenant) -> None:
    more = [("red/0.jpg", sets.picture("blue", 77)), ("RED/0.JPG", sets.picture("red", 78))]
    dataset = ann.imported("twice.zip", forms.archive([*_good(), *more]))
    assert "duplicate_name" in _codes(dataset)
    assert {one["label"] for one in dataset["classes"]} >= {"red", "blue"}


def _overlapping() -> bytes:
    return forms.overlapping(10_000, bytes(_MIB))


def _flat() -> bytes:
    return forms.archive((f"red/{n}.jpg", bytes(9 * _MIB)) for n in range(30))


def _single() -> bytes:
    return forms.archive([("red/0.jpg", bytes(45 * _MIB))])


def _nested() -> bytes:
    inner = forms.archive([("x.jpg", bytes(50 * _MIB))])
    for _ in range(5):
        inner = forms.archive([(f"{n}.zip", inner) for n in range(10)])
    return forms.archive([*_good(), ("red/bomb.zip", inner), ("red/bomb.jpg", inner)])


def _false_sizes(declared: int) -> bytes:
    content = bytearray(forms.archive([("red/0.jpg", bytes(20 * _MIB)), *_good()]))
    for magic, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        start = content.index(magic)
        struct.pack_into("<I", content, start + at, declared)
    return bytes(content)


def _zip64(**lies: int) -> bytes:
    """The end of the archive says that the true numbers are elsewhere, and these lie."""
    content = forms.archive(_good())
    at = content.rindex(b"PK\5\6")
    size, offset = struct.unpack_from("<II", content, at + 12)
    values = {"count": 8, "size": size, "offset": offset, **lies}
    record = struct.pack(
        "<4sQHHIIQQQQ",
        b"PK\6\6", 44, 45, 45, 0, 0, values["count"], values["count"], values["size"], values["offset"],
    )  # fmt: skip
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:at] + record + locator + end


BOMBS: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "one file": (_single, {"archive_bomb"}),
    "many files": (_flat, {"archive_bomb"}),
    "overlapping": (_overlapping, {"archive_bomb"}),
    "quoted overlap": (lambda: forms.quoted(200, bytes(_MIB)), {"archive_bomb", "unreadable_archive"}),
    "declares little": (lambda: _false_sizes(10), {""}),
    "declares much": (lambda: _false_sizes(2**32 - 2), {"archive_bomb", "too_few_items", ""}),
    "zip64 of many entries": (lambda: _zip64(count=2**62), {"unreadable_archive", ""}),
    "zip64 of a huge directory": (lambda: _zip64(size=2**40), {"unreadable_archive", "too_many_files"}),
    "zip64 of a far directory": (lambda: _zip64(offset=2**63), {"unreadable_archive"}),
    "zip64 that wraps": (lambda: _zip64(offset=2**64 - 1), {"unreadable_archive"}),
    "nested": (_nested, {""}),
    "not a zip": (lambda: b"PK\3\4" + bytes(1000), {"unreadable_archive"}),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_ends_its_own_import_and_nothing_else(bomb: str, ann: Tenant, service: Service) -> None:
    make, codes = BOMBS[bomb]
    dataset = ann.imported("bomb.zip", make())
    assert (dataset["error"] or {"code": ""})["code"] in codes, dataset["error"]
    assert service.client.get("/readyz").status_code == 200
    stored = sum(path.stat().st_size for path in (service.data_dir / "store" / "datasets").rglob("*") if path.is_file())
    assert stored < 50 * _MIB


@pytest.mark.slow
def test_more_empty_files_than_problems_are_listed_are_refused(service: Service) -> None:
    answer = service.upload("empty.zip", forms.empties(110_000), wait=300)
    assert (answer["status"], answer["error"]["code"]) == ("failed", "too_many_problems")


def test_twenty_thousand_empty_files_are_bad_items_and_no_more(ann: Tenant) -> None:
    dataset = ann.imported("empty.zip", forms.empties(20_000))
    assert dataset["status"] == "failed"
    assert _codes(dataset) <= {"unreadable_image", "empty_file", "not_an_image"}
