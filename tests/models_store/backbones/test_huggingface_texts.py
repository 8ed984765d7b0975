"""Every kind of text model works from its own files alone: its tokenizer, its limit, its pooling, its inputs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from models_store.backbones import FAMILIES
from models_store.backbones.family import Backbone
from models_store.backbones.pooling import POOLINGS
from models_store.errors import InvalidError
from models_store.mirror import Mirror
from tests.models_store.backbones.finetuning import assert_fine_tunes, collated
from tests.models_store.tiny_models import TEXT_KINDS, edit_json, text_model

FAMILY = FAMILIES["hf"]
TEXTS = ["a good film", "정말 재미있는 영화였어요", "nobody should see a word of that bad story again", "word"]
CONTENTS = [text.encode() for text in TEXTS]


def load(folder: Path, store: Path, **options: Any) -> Backbone:
    mirror = Mirror(store)
    mirror.add("hf/some/model", "DEFAULT", folder)
    return FAMILY.load("some/model", "DEFAULT", mirror, options)


def features(backbone: Backbone, contents: list[bytes]) -> torch.Tensor:
    with torch.no_grad():
        batch = collated(backbone.preprocessing, contents)
        return FAMILY.extract(backbone.module, batch, backbone.architecture)


def library_states(folder: Path, text: str) -> torch.Tensor:
    """Last hidden states [tokens, width] of one text, by transformers alone."""
    loader: Any = AutoTokenizer
    tokens = loader.from_pretrained(folder)(text, return_tensors="pt")
    given = {name: tensor for name, tensor in tokens.items() if name != "token_type_ids"}
    with torch.no_grad():
        states: torch.Tensor = AutoModel.from_pretrained(folder).eval()(**given).last_hidden_state[0]
    return states


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_every_kind_of_text_model_trains_is_stored_and_predicts(kind: str, tmp_path: Path) -> None:
    backbone = load(text_model(tmp_path / "tiny", kind), tmp_path)
    assert backbone.architecture.task == "text-classification"
    assert_fine_tunes(backbone, CONTENTS[:3], tmp_path)


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_encoders_give_their_first_token_and_decoders_their_last(kind: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "tiny", kind)
    backbone = load(folder, tmp_path)
    assert backbone.architecture.config["pooling"] == TEXT_KINDS[kind].pooling
    place = {"cls": 0, "last": -1}[TEXT_KINDS[kind].pooling]
    for text, found in zip(TEXTS, features(backbone, CONTENTS), strict=True):
        assert torch.allclose(found, library_states(folder, text)[place], atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_a_text_gives_the_same_features_alone_and_beside_longer_ones(kind: str, pooling: str, tmp_path: Path) -> None:
    backbone = load(text_model(tmp_path / "tiny", kind), tmp_path, pooling=pooling)
    together = features(backbone, CONTENTS)
    for content, batched in zip(CONTENTS, together, strict=True):
        assert torch.allclose(features(backbone, [content])[0], batched, atol=1e-6)


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_token_types_are_given_where_the_model_has_a_use_for_them(kind: str, tmp_path: Path) -> None:
    backbone = load(text_model(tmp_path / "tiny", kind), tmp_path)
    assert ("token_type_ids" in collated(backbone.preprocessing, CONTENTS)) is TEXT_KINDS[kind].token_types


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_long_texts_are_cut_at_what_the_models_positions_allow(kind: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "tiny", kind)
    limit, long = TEXT_KINDS[kind].limit, b"a good film " * 50
    backbone = load(folder, tmp_path)
    (item,) = backbone.preprocessing.prepare([long])
    assert not isinstance(item, Exception)
    assert item.diagnostics == {"tokens": limit, "truncated": True}
    assert torch.isfinite(features(backbone, [long])).all()
    with pytest.raises(InvalidError, match=f"at most {limit} tokens"):
        load(folder, tmp_path, max_length=limit + 1)


def test_a_limit_of_the_tokenizer_below_that_of_the_model_counts(tmp_path: Path) -> None:
    folder = text_model(tmp_path / "tiny", "bert")
    edit_json(folder / "tokenizer_config.json", model_max_length=20)
    assert load(folder, tmp_path).preprocessing.card()["max_length"] == 20


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_tokenizer_without_a_padding_token_pads_with_its_last_one(kind: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "tiny", kind)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.pad_token_id is None
    batch = collated(load(folder, tmp_path).preprocessing, CONTENTS[1:3])
    assert set(batch["input_ids"][batch["attention_mask"] == 0].tolist()) == {tokenizer.eos_token_id}


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_a_tokenizer_that_pads_on_the_left_is_read_as_well(kind: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "tiny", kind)
    assert AutoTokenizer.from_pretrained(folder).padding_side == "left"
    batch = collated(load(folder, tmp_path).preprocessing, CONTENTS[:2])
    assert (batch["attention_mask"][:, 0] == 1).all()


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_tokens_are_those_of_the_librarys_own_tokenizer(kind: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "tiny", kind)
    library: Any = AutoTokenizer.from_pretrained(folder)
    for text, item in zip(TEXTS, load(folder, tmp_path).preprocessing.prepare(CONTENTS), strict=True):
        assert not isinstance(item, Exception)
        assert item.tensors["input_ids"].tolist() == library(text)["input_ids"]


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_with_a_decoder_is_refused(kind: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "tiny", "bert")
    (folder / "config.json").write_text(f'{{"model_type": "{kind}"}}')
    with pytest.raises(InvalidError) as caught:
        load(folder, tmp_path)
    assert caught.value.code == "unsupported_backbone"
