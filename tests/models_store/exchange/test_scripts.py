"""The programs of the model card give what is served, whatever the backbone."""

from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
import torch
from PIL import Image

from models_store import bundle
from models_store.mirror import Mirror
from models_store.preprocessing.protocol import Prepared
from tests.models_store.exchange.stored import (
    LABELS,
    Stored,
    assert_close,
    keep,
    loaded_module,
    printed,
    programs,
    written,
)
from tests.models_store.samples import encoded, noise, photos
from tests.models_store.tiny_models import IMAGE_KINDS, TEXT_KINDS, image_model, text_model

SENTENCES: Final = ["a good film", "정말 재미있는 영화", "the story of a word that was looking for another word " * 9]
LIBRARY_IMAGES: Final = (
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/googlenet",
    "timm/test_resnet",
    "timm/test_vit",
    "plugin/tiny",
)


def pictures() -> dict[str, bytes]:
    """An odd size, transparency, a photo to be turned, a palette, greys, CMYK."""
    photo = Image.open(BytesIO(photos()["flower"]))
    transparent = noise(61, 45, seed=1).convert("RGBA")
    transparent.putalpha(noise(61, 45, seed=2).convert("L"))
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "odd.jpg": encoded(photo.crop((0, 0, 333, 217)), "JPEG", quality=90),
        "alpha.png": encoded(transparent),
        "turned.jpg": encoded(photo.resize((320, 214)), "JPEG", exif=turned),
        "palette.gif": encoded(photo.resize((90, 60)).quantize(16), "GIF"),
        "grey.png": encoded(noise(50, 70).convert("L")),
        "cmyk.jpg": encoded(noise(64, 48).convert("CMYK"), "JPEG"),
    }


def kept(kind: str, backbone: str, folder: Path) -> Stored:
    store = folder / "store"
    make = text_model if kind in TEXT_KINDS else image_model
    Mirror(store).add(backbone, "DEFAULT", make(folder / "pretrained", kind))
    return keep(store, backbone, weights="DEFAULT")


@pytest.mark.parametrize("backbone", LIBRARY_IMAGES)
def test_ten_lines_of_plain_torchvision_or_timm_give_the_served_probabilities(backbone: str, tmp_path: Path) -> None:
    stored, contents = keep(tmp_path / "store", backbone), pictures()
    folder = stored.unpacked(tmp_path / "download")
    assert_close(printed(folder, written(folder, contents)), stored.served(list(contents.values())))


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_ten_lines_of_plain_transformers_give_the_served_probabilities_of_images(kind: str, tmp_path: Path) -> None:
    stored, contents = kept(kind, f"hf/tiny/{kind}", tmp_path), pictures()
    folder = stored.unpacked(tmp_path / "download")
    assert_close(printed(folder, written(folder, contents)), stored.served(list(contents.values())))


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_ten_lines_of_plain_transformers_give_the_served_probabilities_of_texts(kind: str, tmp_path: Path) -> None:
    stored = kept(kind, f"hf/tiny/{kind}", tmp_path)
    folder = stored.unpacked(tmp_path / "download")
    assert_close(printed(folder, SENTENCES), stored.served([text.encode() for text in SENTENCES]))


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
def test_a_pooling_that_the_job_chose_is_the_one_of_the_ten_lines(pooling: str, tmp_path: Path) -> None:
    Mirror(tmp_path / "store").add("hf/tiny/bert", "DEFAULT", text_model(tmp_path / "pretrained", "bert"))
    chosen = {"pooling": pooling, "max_length": 7}
    stored = keep(tmp_path / "store", "hf/tiny/bert", weights="DEFAULT", options=chosen)
    folder = stored.unpacked(tmp_path / "download")
    assert_close(printed(folder, SENTENCES), stored.served([text.encode() for text in SENTENCES]))


def test_texts_of_a_plugin_are_run_by_its_package_alone(tmp_path: Path) -> None:
    stored = keep(tmp_path / "store", "plugin/words")
    folder, texts = stored.unpacked(tmp_path / "download"), ["a good film", "나쁜 영화", "word " * 40]
    assert_close(printed(folder, texts), stored.served([text.encode() for text in texts]))


def test_a_part_of_a_plugins_module_is_found_again(tmp_path: Path) -> None:
    stored = keep(tmp_path / "store", "plugin/autoencoder", options={"submodule": "encoder"})
    folder, contents = stored.unpacked(tmp_path / "download"), pictures()
    assert_close(printed(folder, written(folder, contents)), stored.served(list(contents.values())))


@pytest.mark.parametrize("backbone", [*LIBRARY_IMAGES, "plugin/words", "hf/tiny/bert", "hf/tiny/gpt2", "hf/tiny/vit"])
def test_the_checkpoint_loads_into_a_plain_module_of_lightning(backbone: str, tmp_path: Path) -> None:
    kind = backbone.rpartition("/")[2]
    stored = kept(kind, backbone, tmp_path) if backbone.startswith("hf/") else keep(tmp_path / "store", backbone)
    folder = stored.unpacked(tmp_path / "download")
    module = loaded_module(folder)["model"]
    assert not module.training
    saved = torch.load(folder / "model.ckpt", weights_only=True)["state_dict"]
    loaded = module.state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)


def test_the_module_of_lightning_gives_the_served_probabilities(tmp_path: Path) -> None:
    stored, photo = keep(tmp_path / "store", "timm/test_vit"), photos()["flower"]
    model = loaded_module(stored.unpacked(tmp_path / "download"))["model"]
    preprocessing = bundle.load(stored.directory, stored.store_dir).preprocessing
    items = [item for item in preprocessing.prepare([photo]) if isinstance(item, Prepared)]
    with torch.no_grad():
        probabilities = model(preprocessing.collate(items)["pixels"])[0].softmax(0).tolist()
    assert_close([dict(zip(LABELS, probabilities, strict=True))], stored.served([photo]))


@pytest.mark.parametrize("backbone", ["torchvision/shufflenet_v2_x0_5", "timm/test_resnet", "plugin/tiny"])
def test_there_are_ten_lines_at_most_besides_imports(backbone: str, tmp_path: Path) -> None:
    lines, _ = programs(keep(tmp_path / "store", backbone).unpacked(tmp_path / "download"))
    imports, _, program = lines.partition("\n\n")
    assert all("import " in line for line in imports.splitlines())
    assert len(program.splitlines()) <= 10


def test_the_programs_name_nothing_of_this_service(tmp_path: Path) -> None:
    for program in programs(keep(tmp_path / "store", "timm/test_resnet").unpacked(tmp_path / "download")):
        assert not any(room in program for room in ("models_store", "finetuned", "worker", "app."))
