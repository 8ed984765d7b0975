"""Texts become the tokens that the pretrained model's own tokenizer gives; a bad one fails alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from models_store.errors import FinetunedError, InvalidError, UnavailableError
from models_store.preprocessing.loading import load_preprocessing
from models_store.preprocessing.protocol import Prepared
from models_store.preprocessing.text import TextPreprocessing
from tests.models_store.samples import minilm

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TEXTS = ["Hello, world!", "영화가 정말 재미있었어요", "x", "naïve café 🙂 " * 30, "[SEP] in\tbetween\nlines"]


def preprocessing(max_length: int = 16, inputs: tuple[str, ...] = INPUTS) -> TextPreprocessing:
    files = {name: (minilm() / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")}
    return TextPreprocessing(files, max_length=max_length, inputs=inputs, pad_id=0)


def items(results: list[Prepared | FinetunedError]) -> list[Prepared]:
    good = [result for result in results if isinstance(result, Prepared)]
    assert len(good) == len(results)
    return good


def code_of(content: bytes) -> str:
    (result,) = preprocessing().prepare([content])
    assert isinstance(result, InvalidError)
    return result.code


def test_tokens_equal_those_of_transformers() -> None:
    library: Any = AutoTokenizer.from_pretrained(minilm())
    expected = library(TEXTS, truncation=True, max_length=16, padding=True, return_tensors="pt")
    batch = preprocessing().collate(items(preprocessing().prepare([text.encode() for text in TEXTS])))
    assert batch.keys() == set(INPUTS)
    assert all(torch.equal(batch[name], expected[name]) for name in INPUTS)


def test_a_long_text_is_cut_and_says_so() -> None:
    short, long = items(preprocessing().prepare([b"one two three", b"word " * 1000]))
    assert short.diagnostics == {"tokens": 5, "truncated": False}
    assert long.diagnostics == {"tokens": 16, "truncated": True}


def test_a_text_that_just_fits_is_not_cut() -> None:
    (item,) = items(preprocessing().prepare([b"word " * 14]))
    assert item.diagnostics == {"tokens": 16, "truncated": False}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", "café".encode("latin-1")])
def test_what_is_not_utf8_is_refused(content: bytes) -> None:
    assert code_of(content) == "not_utf8"


@pytest.mark.parametrize("content", [b"", b"  \n\t", "\u3000\u00a0".encode()])
def test_an_empty_text_is_refused(content: bytes) -> None:
    assert code_of(content) == "empty_text"


def test_a_bad_text_fails_alone_and_in_its_place() -> None:
    first, bad, last = preprocessing().prepare([b"one", b"\xff", b"two"])
    assert isinstance(bad, InvalidError)
    assert isinstance(first, Prepared)
    assert isinstance(last, Prepared)
    assert first.tensors["input_ids"].tolist() != last.tensors["input_ids"].tolist()


def test_a_batch_is_padded_to_its_longest() -> None:
    batch = preprocessing(64).collate(items(preprocessing(64).prepare([b"one", b"one two three"])))
    assert batch["input_ids"].shape == (2, 5)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


def test_only_the_inputs_of_the_model_are_made() -> None:
    (item,) = items(preprocessing(inputs=INPUTS[:2]).prepare([b"one"]))
    assert item.tensors.keys() == set(INPUTS[:2])


def test_card_and_files_bring_back_an_equal_preprocessing(tmp_path: Path) -> None:
    original = preprocessing()
    original.save(tmp_path)
    again = load_preprocessing(original.card(), tmp_path)
    contents = [text.encode() for text in TEXTS]
    assert again.card() == original.card()
    assert again.sha256() == original.sha256()
    for one, other in zip(items(again.prepare(contents)), items(original.prepare(contents)), strict=True):
        assert one.tensors["input_ids"].tolist() == other.tensors["input_ids"].tolist()


def test_a_tokenizer_that_is_not_what_was_stored_is_refused(tmp_path: Path) -> None:
    original = preprocessing()
    original.save(tmp_path)
    file = tmp_path / "tokenizer" / "tokenizer.json"
    file.write_bytes(file.read_bytes().replace(b"hello", b"jello", 1))
    with pytest.raises(UnavailableError) as refused:
        load_preprocessing(original.card(), tmp_path)
    assert refused.value.code == "model_damaged"


def test_the_saved_files_are_what_transformers_loads(tmp_path: Path) -> None:
    preprocessing().save(tmp_path)
    library: Any = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    (item,) = items(preprocessing().prepare([b"Hello, world!"]))
    assert library("Hello, world!")["input_ids"] == item.tensors["input_ids"].tolist()


def test_the_hash_tells_preprocessings_apart() -> None:
    assert preprocessing(16).sha256() != preprocessing(17).sha256()


def test_threads_may_share_it() -> None:
    shared = preprocessing(64)
    contents = [f"text number {number} {'word ' * (number % 50)}".encode() for number in range(200)]
    alone = [items(shared.prepare([content]))[0].tensors["input_ids"].tolist() for content in contents]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda content: items(shared.prepare([content]))[0], contents))
    assert [item.tensors["input_ids"].tolist() for item in together] == alone
