"""Text backbones: their own pooling, their own limits, and nothing of them that would have to be run."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.backbones.pooling import POOLINGS
from models_store.errors import InvalidError
from models_store.mirror import Mirror
from models_store.preprocessing.protocol import Prepared
from tests.models_store.samples import minilm, tiny_text_model

FAMILY = FAMILIES["hf"]
TEXTS = [b"A short one.", b"Another text that is quite a bit longer than the first."]


def load(folder: Path, store: Path, **options: Any) -> Backbone:
    mirror = Mirror(store)
    mirror.add("hf/some/model", "DEFAULT", folder)
    return FAMILY.load("some/model", "DEFAULT", mirror, options)


def batch(backbone: Backbone, texts: list[bytes]) -> dict[str, torch.Tensor]:
    items = [item for item in backbone.preprocessing.prepare(texts) if isinstance(item, Prepared)]
    return backbone.preprocessing.collate(items)


def features(backbone: Backbone, texts: list[bytes]) -> torch.Tensor:
    with torch.no_grad():
        return FAMILY.extract(backbone.module, batch(backbone, texts), backbone.architecture)


def refusal(folder: Path, store: Path, **options: Any) -> str:
    with pytest.raises(InvalidError) as caught:
        load(folder, store, **options)
    return caught.value.code


def edit_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load(minilm(), tmp_path_factory.mktemp("store"))


def test_the_pooling_that_the_model_ships_is_taken(real: Backbone) -> None:
    assert real.architecture.config["pooling"] == "mean"
    assert real.architecture.width == 384


def test_features_equal_transformers_and_mean_pooling(real: Backbone) -> None:
    loader: Any = AutoTokenizer
    tokens = loader.from_pretrained(minilm())([text.decode() for text in TEXTS], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(minilm()).eval()(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    assert torch.allclose(features(real, TEXTS), (hidden * mask).sum(1) / mask.sum(1), atol=1e-5)


def test_meaning_is_in_the_features(real: Backbone) -> None:
    vectors = features(real, [b"a cat sits on the mat", b"the kitten lies on the rug", b"interest rates rose again"])
    near, far = torch.cosine_similarity(vectors[:1], vectors[1:])
    assert near > far + 0.3


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_job_may_choose_the_pooling(pooling: str, tmp_path: Path) -> None:
    backbone = load(tiny_text_model(tmp_path / "tiny"), tmp_path, pooling=pooling)
    with torch.no_grad():
        hidden = backbone.module(**batch(backbone, [b"a good film"])).last_hidden_state[0]
    expected = {"cls": hidden[0], "mean": hidden.mean(0), "last": hidden[-1]}[pooling]
    assert torch.allclose(features(backbone, [b"a good film"])[0], expected, atol=1e-6)


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    assert refusal(tiny_text_model(tmp_path / "tiny"), tmp_path, pooling="max") == "unknown_pooling"


@pytest.mark.parametrize(("kind", "pooling"), [("bert", "cls"), ("roberta", "cls"), ("mpnet", "cls"), ("gpt2", "last")])
def test_without_a_shipped_pooling_the_kind_decides(kind: str, pooling: str, tmp_path: Path) -> None:
    assert load(tiny_text_model(tmp_path / "tiny", kind), tmp_path).architecture.config["pooling"] == pooling


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_padding_does_not_change_the_features_of_a_text(kind: str, tmp_path: Path) -> None:
    backbone = load(tiny_text_model(tmp_path / "tiny", kind), tmp_path)
    together = features(backbone, [b"word", b"a good film a bad film a word"])
    assert torch.allclose(together[:1], features(backbone, [b"word"]), atol=1e-6)


@pytest.mark.parametrize(("pooling", "left", "right"), [("cls", 1.0, 0.0), ("last", 2.0, 1.0), ("mean", 1.5, 0.5)])
def test_pooling_finds_the_real_tokens_on_either_padding_side(pooling: str, left: float, right: float) -> None:
    hidden = torch.arange(3.0).reshape(1, 3, 1).repeat(2, 1, 1)
    mask = torch.tensor([[0, 1, 1], [1, 1, 0]])
    assert POOLINGS[pooling](hidden, mask).flatten().tolist() == [left, right]


def test_the_pooler_is_dropped(real: Backbone) -> None:
    assert not any("pooler" in name for name in real.module.state_dict())


def test_a_checkpoint_without_pooler_is_complete(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert load(folder, tmp_path).architecture.width == 16


def test_a_checkpoint_without_a_tensor_of_the_backbone_is_refused(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert refusal(folder, tmp_path) == "weights_mismatch"


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    tensors = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    edit_config(folder, dtype="float16")
    assert {tensor.dtype for tensor in load(folder, tmp_path).module.parameters()} == {torch.float32}


@pytest.mark.parametrize(("kind", "limit"), [("bert", 40), ("roberta", 38), ("mpnet", 38), ("gpt2", 40)])
def test_the_models_positions_limit_the_length(kind: str, limit: int, tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny", kind, **({} if kind in {"bert", "gpt2"} else {"pad_token_id": 1}))
    backbone = load(folder, tmp_path)
    assert backbone.preprocessing.card()["max_length"] == limit
    assert torch.isfinite(features(backbone, [b"word " * 100])).all()
    assert refusal(folder, tmp_path, max_length=limit + 1) == "max_length_too_large"
    assert load(folder, tmp_path, max_length=limit).preprocessing.card()["max_length"] == limit


def test_a_length_without_room_for_a_word_is_refused(tmp_path: Path) -> None:
    assert refusal(tiny_text_model(tmp_path / "tiny"), tmp_path, max_length=2) == "max_length_too_small"


def test_the_length_is_512_where_the_model_allows_more(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny", max_position_embeddings=2048)
    assert load(folder, tmp_path).preprocessing.card()["max_length"] == 512
    assert load(folder, tmp_path, max_length=1024).preprocessing.card()["max_length"] == 1024


@pytest.mark.parametrize(("kind", "given"), [("bert", True), ("distilbert", False), ("gpt2", False)])
def test_token_types_are_given_only_to_models_that_have_them(kind: str, given: bool, tmp_path: Path) -> None:
    backbone = load(tiny_text_model(tmp_path / "tiny", kind), tmp_path)
    assert ("token_type_ids" in batch(backbone, [b"word"])) is given


@pytest.mark.parametrize("name", ["modeling.py", "sub/code.py"])
def test_a_folder_with_code_is_refused(name: str, tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("raise SystemExit")
    assert refusal(folder, tmp_path) == "unsafe_weights"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_names_code_is_refused(name: str, tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "modeling.Evil"}}))
    assert refusal(folder, tmp_path) == "unsafe_weights"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "optimizer.pkl"])
def test_a_folder_with_pickles_is_refused(name: str, tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    (folder / name).write_bytes(b"")
    assert refusal(folder, tmp_path) == "unsafe_weights"


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    (folder / "model.safetensors").unlink()
    assert refusal(folder, tmp_path) == "unsafe_weights"


def test_a_kind_that_transformers_does_not_know_is_refused(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    edit_config(folder, model_type="no_such_kind", architectures=None)
    assert refusal(folder, tmp_path) == "unsupported_backbone"


def test_only_what_the_model_needs_is_stored(tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "some/other"}')
    (folder / "notes.md").write_text("hello")
    load(folder, tmp_path)
    stored = Mirror(tmp_path).path("hf/some/model", "main")
    assert stored is not None
    assert {path.name for path in stored.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


@pytest.mark.parametrize("wrapping", ["", "model/"])
def test_a_zip_of_the_folder_will_do(wrapping: str, tmp_path: Path) -> None:
    folder = tiny_text_model(tmp_path / "tiny")
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("__MACOSX/x", "")
        for path in folder.iterdir():
            packed.write(path, wrapping + path.name)
    assert torch.equal(features(load(archive, tmp_path / "a"), TEXTS), features(load(folder, tmp_path / "b"), TEXTS))


@pytest.mark.parametrize("name", ["../config.json", "/config.json", "a/../../config.json"])
def test_a_zip_that_leads_out_of_itself_is_refused(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(name, "{}")
        packed.writestr("config.json", "{}")
    assert refusal(archive, tmp_path / "store") == "unreadable_weights"


OFFLINE = """
from pathlib import Path
from models_store.backbones import FAMILIES
from models_store.errors import UnavailableError
from models_store.mirror import Mirror
for family, name in (("hf", "some/model"), ("timm", "resnet18")):
    try:
        FAMILIES[family].load(name, "DEFAULT", Mirror(Path("store")), {})
    except UnavailableError as error:
        print(error.code, "finetuned weights add" in error.message, f"{family}/{name}" in error.message)
"""


def test_without_hub_the_weights_are_said_to_be_unavailable(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ended.stdout.splitlines() == ["weights_unavailable True True"] * 2
