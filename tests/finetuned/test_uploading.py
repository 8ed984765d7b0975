"""Uploads: a folder as it is read, a table, progress, and no more memory than a piece."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetuned import Client
from tests.finetuned.stub import Sink, Stub, serving, sinking

GIB = 2**30


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        yield stub


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    with Client(stub.url, "ft_key", timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with sinking() as sink:
        yield sink


class Table:
    """What pandas and polars have in common, as far as we need it."""

    def __init__(self, **columns: list[object]) -> None:
        self._columns = columns

    @property
    def columns(self) -> list[str]:
        """Names."""
        return list(self._columns)

    def __getitem__(self, name: str) -> list[object]:
        return self._columns[name]


def test_a_folder_is_a_sound_zip(client: Client, stub: Stub, tmp_path: Path) -> None:
    pictures = {f"{label}/{number}.png": bytes([number]) * 300_000 for label in ("개", "cat") for number in range(3)}
    for name, content in pictures.items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(content)

    client.upload_dataset(tmp_path / "pets", wait=False)

    assert stub.uploads[0]["filename"] == "pets.zip"
    with zipfile.ZipFile(io.BytesIO(stub.uploads[0]["content"])) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == pictures


def test_a_table_is_sent_as_json_lines(client: Client, stub: Stub) -> None:
    table = Table(index=[7, 8, 9], text=["schön", "줄\n바꿈", float("nan")], label=[1, "b", "c"])

    client.upload_dataset(table, "films", wait=False)

    sent = stub.uploads[0]
    assert (sent["filename"], sent["name"]) == ("films.jsonl", "films")
    assert [json.loads(line) for line in sent["content"].decode().splitlines()] == [
        {"text": "schön", "label": "1"},
        {"text": "줄\n바꿈", "label": "b"},
        {"text": "", "label": "c"},
    ]


def test_a_table_without_labels_is_refused_before_anything_is_sent(client: Client, stub: Stub) -> None:
    with pytest.raises(ValueError, match=r"\['text', 'y'\].*'label'"):
        client.upload_dataset(Table(text=["a"], y=["b"]))

    assert stub.headers == []


def test_training_on_a_path_uploads_it_and_sends_what_was_said(client: Client, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("text,label\n")

    job = client.train(tmp_path / "reviews.csv", "hf/x", name="reviews", weights=None, strategy="full", head_lr=0.01)

    assert job.id == "job_1"
    expected = {"dataset": "ds_1", "backbone": "hf/x", "name": "reviews", "weights": None, "strategy": "full"}
    assert stub.bodies == [{**expected, "training": {"head_lr": 0.01}}]


def test_training_on_a_data_set_of_the_service_uploads_nothing(client: Client, stub: Stub) -> None:
    client.train("ds_7", "hf/x")
    client.train(client.dataset("ds_1"), "hf/x")

    assert stub.uploads == []
    assert [body["dataset"] for body in stub.bodies] == ["ds_7", "ds_1"]


def test_progress_ends_at_all_of_it(sink: Sink, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(bytes(3_000_000))
    seen: list[tuple[int, int]] = []

    with Client(sink.url, "k") as client:
        client.upload_dataset(tmp_path, wait=False, on_progress=lambda *progress: seen.append(progress))

    sent = [one for one, _ in seen]
    assert sent == sorted(sent)
    assert len(sent) > 10
    assert seen[-1] == (sink.bytes, sink.bytes)
    assert all(abs(total - sink.bytes) < 1000 for _, total in seen)


@pytest.mark.parametrize(
    ("kind", "shape", "size"), [("Client", "file", GIB), ("AsyncClient", "folder", GIB // 4)], ids=["file", "folder"]
)
def test_a_large_upload_takes_no_memory(sink: Sink, tmp_path: Path, kind: str, shape: str, size: int) -> None:
    (tmp_path / "large").mkdir()
    large = tmp_path / "large" / "large.zip"
    with large.open("wb") as file:
        file.truncate(size)
    what = large if shape == "file" else large.parent

    peak, calls = _upload_in_a_process(kind, sink.url, what)

    assert sink.bytes > size
    assert sink.tail.endswith(b"--\r\n")
    assert calls > 1000
    assert peak < 40 * 2**20


def _upload_in_a_process(kind: str, url: str, path: Path) -> tuple[int, int]:
    """By how many bytes the process grew, and how often it told of progress."""
    program = f"""
import asyncio, resource, sys
from finetuned import AsyncClient, Client

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def upload():
    async with AsyncClient(sys.argv[1], 'k') as client:
        await client.healthz()
        before = peak()
        await client.upload_dataset(sys.argv[2], wait=False, on_progress=lambda *_: seen.append(1))
        return peak() - before

seen = []
if {kind!r} == 'AsyncClient':
    grown = asyncio.run(upload())
else:
    with Client(sys.argv[1], 'k') as client:
        client.healthz()
        before = peak()
        client.upload_dataset(sys.argv[2], wait=False, on_progress=lambda *_: seen.append(1))
        grown = peak() - before
print(grown, len(seen))
"""
    said = subprocess.check_output([sys.executable, "-c", program, url, str(path)], text=True)
    grown, calls = said.split()
    return int(grown), int(calls)
