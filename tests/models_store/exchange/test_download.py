"""What is in the two forms of a download, and that neither is ever held."""

import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer

from models_store import bundle, trunk_files
from models_store.database.tables import DatasetRow
from models_store.errors import UnavailableError
from models_store.exchange import download
from models_store.mirror import Mirror
from models_store.reporting.stored import without_items
from tests.models_store.exchange.stored import LABELS, TEMPERATURE, Stored, keep
from tests.models_store.samples import tiny_text_model
from tests.models_store.tiny_models import image_model

MIB = 2**20


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return keep(tmp_path_factory.mktemp("store"), "torchvision/squeezenet1_1")


@pytest.fixture(scope="module")
def folder(stored: Stored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored.unpacked(tmp_path_factory.mktemp("download"))


def test_tensors_are_the_librarys_own_and_the_head_over_the_temperature(stored: Stored, folder: Path) -> None:
    network = bundle.load(stored.directory, stored.store_dir).network
    found = load_file(folder / "model.safetensors")
    expected = {f"backbone.{name}": tensor for name, tensor in network.backbone.state_dict().items()}
    assert found.keys() == {*expected, "head.weight", "head.bias"}
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert torch.allclose(found["head.weight"], network.head.weight / TEMPERATURE, rtol=1e-6)
    assert torch.allclose(found["head.bias"], network.head.bias / TEMPERATURE, rtol=1e-6)


def test_a_model_of_before_there_was_a_temperature_has_its_own_head(tmp_path: Path) -> None:
    stored = keep(tmp_path / "store", "plugin/tiny")
    card = json.loads((stored.directory / "card.json").read_bytes())
    del card["temperature"]
    (stored.directory / "card.json").write_text(json.dumps(card))
    found = load_file(stored.unpacked(tmp_path / "download") / "model.safetensors")
    assert torch.equal(found["head.weight"], load_file(stored.directory / "head.safetensors")["weight"])


def test_the_configuration_tells_classes_and_backbone(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["id2label"] == {"0": LABELS[0], "1": LABELS[1], "2": LABELS[2]}
    assert config["label2id"] == {label: place for place, label in enumerate(LABELS)}
    assert (config["backbone"], config["weights"], config["task"]) == (
        "torchvision/squeezenet1_1",
        None,
        "image-classification",
    )
    assert LABELS[0] in (folder / "config.json").read_text("utf-8")  # as it is written, not escaped


def test_the_preprocessing_is_that_of_the_card(stored: Stored, folder: Path) -> None:
    card = json.loads((stored.directory / "card.json").read_bytes())
    assert json.loads((folder / "preprocessing.json").read_bytes()) == card["preprocessing"]


def test_a_folder_of_texts_is_one_of_transformers(tmp_path: Path) -> None:
    Mirror(tmp_path / "store").add("hf/tiny/bert", "DEFAULT", tiny_text_model(tmp_path / "pretrained"))
    folder = keep(tmp_path / "store", "hf/tiny/bert", weights="DEFAULT").unpacked(tmp_path / "download")
    config = AutoConfig.from_pretrained(folder)
    assert (config.model_type, config.hidden_size) == ("bert", 16)
    assert config.id2label == dict(enumerate(LABELS))
    assert config.pooling == "cls"
    assert AutoTokenizer.from_pretrained(folder)("good film")["input_ids"] == [2, 5, 7, 3]


def test_a_folder_of_images_is_one_of_transformers(tmp_path: Path) -> None:
    Mirror(tmp_path / "store").add("hf/tiny/vit", "DEFAULT", image_model(tmp_path / "pretrained", "vit"))
    folder = keep(tmp_path / "store", "hf/tiny/vit", weights="DEFAULT").unpacked(tmp_path / "download")
    assert AutoConfig.from_pretrained(folder).id2label == dict(enumerate(LABELS))
    loader: Any = AutoImageProcessor
    processor = loader.from_pretrained(folder, backend="pil")
    assert processor.size["height"] == 32


def test_the_report_comes_along_and_tells_of_items_while_their_data_set_is_there(
    stored: Stored, tmp_path: Path
) -> None:
    (stored.directory / "report.json").write_text(json.dumps(REPORT, ensure_ascii=False), "utf-8")
    dataset = DatasetRow(id="ds_1", name="벌레", classes=[], splits={"train": 30, "validation": 6})
    try:
        folders = [stored.unpacked(tmp_path / name, of) for name, of in (("with", dataset), ("without", None))]
    finally:
        (stored.directory / "report.json").unlink()
    whole, bare = (json.loads((folder / "report.json").read_text("utf-8")) for folder in folders)
    assert whole == REPORT
    assert bare == without_items(REPORT) != REPORT


FIGURES = {
    "split": "validation",
    "items": 8,
    "accuracy": 0.75,
    "classes": [{"label": LABELS[0], "precision": 0.6789, "recall": 0.5, "f1": 0.575, "support": 4}],
    "calibration": {"temperature": TEMPERATURE, "ece_before": 0.123456, "ece_after": 0.0456},
}
REPORT = {**FIGURES, "splits": {"test": {**FIGURES, "split": "test", "accuracy": 0.8125}}}


def test_nothing_is_compressed_and_every_name_is_plain(stored: Stored) -> None:
    content = b"".join(download.as_zip(stored.row, None, stored.store_dir))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert all("/" not in entry.filename for entry in archive.infolist())


def test_the_checkpoint_is_of_tensors_and_plain_values(folder: Path) -> None:
    content = torch.load(folder / "model.ckpt", weights_only=True)
    tensors = load_file(folder / "model.safetensors")
    assert content["state_dict"].keys() == tensors.keys()
    assert all(torch.equal(content["state_dict"][name], tensor) for name, tensor in tensors.items())
    assert content["hyper_parameters"]["config"] == json.loads((folder / "config.json").read_bytes())
    assert (content["hyper_parameters"]["width"], content["hyper_parameters"]["classes"]) == (512, 3)
    assert content["pytorch-lightning_version"]
    assert (folder / "model.ckpt").stat().st_size < 1.1 * (folder / "model.safetensors").stat().st_size


def test_a_damaged_trunk_is_noticed_before_the_first_byte(tmp_path: Path) -> None:
    stored = keep(tmp_path / "store", "plugin/tiny")
    card = json.loads((stored.directory / "card.json").read_bytes())
    trunk = trunk_files.directory(stored.store_dir, card["trunk"]) / "trunk.safetensors"
    content = trunk.read_bytes()
    trunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UnavailableError, match="damaged"):
        download.as_zip(stored.row, None, stored.store_dir)


class _Counting(io.RawIOBase):
    """Forgets what is written, and counts it."""

    def __init__(self) -> None:
        self.written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # torch writes bytes
        self.written += len(data)
        return len(data)


def _peak(stored: Stored, form: str) -> tuple[int, int]:
    """Bytes that came, and the most that Python held meanwhile."""
    sink = _Counting()
    tracemalloc.start()
    try:
        if form == "zip":
            for chunk in download.as_zip(stored.row, None, stored.store_dir):
                sink.write(chunk)
        else:
            file: Any = io.BufferedWriter(sink)
            download.write_checkpoint(stored.row, None, stored.store_dir, file)
            file.flush()
        return sink.written, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["zip", "ckpt"])
def test_a_large_model_passes_through_in_little_memory(form: str, tmp_path: Path) -> None:
    stored = keep(tmp_path / "store", "torchvision/resnet18")
    written, peak = _peak(stored, form)
    assert written > 40 * MIB
    assert peak < 8 * MIB


def test_a_disk_without_room_is_told_as_such(stored: Stored) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        download.write_checkpoint(stored.row, None, stored.store_dir, full)
