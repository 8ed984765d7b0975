import io
import random
import tempfile
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.importing.duplicates.groups import ALONE, copies
from worker.importing.duplicates.texts import Shingles, TextSketches, digest, normalised

SYLLABLES = ["ka", "lo", "mi", "ne", "pu", "ra", "bel", "dor", "fin", "gas", "hun", "jat", "tev", "sol", "wim", "yor"]
WORDS = ["".join(parts) for length in (1, 2, 3) for parts in product(SYLLABLES, repeat=length)]
KOREAN = "배우들의 연기가 훌륭하고 이야기의 흐름도 자연스러워서 두 시간이 금방 지나갔습니다 꼭 극장에서 보세요"


def sentence(seed: int, words: int = 20) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def groups_of(texts: list[str]) -> list[int]:
    """The number of every text's group."""
    known = [normalised(text) for text in texts]
    with tempfile.TemporaryFile() as file:
        sketches = TextSketches(file)
        for text in known:
            sketches.add(text)
        digests = np.array([digest(text) for text in known], np.uint64)
        groups = copies(digests, lambda first: sketches.likeness(first, known.__getitem__), lambda: None)
    return [int(group) for group in groups]


def found(texts: list[str]) -> set[tuple[int, int]]:
    """Pairs of places whose texts are in one group."""
    groups = groups_of(texts)
    return {(a, b) for a, b in combinations(range(len(texts)), 2) if groups[a] == groups[b] != ALONE}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A fine film.", "a FINE film."),
        ("a fine film", "  a\tfine \n film "),
        ("caf\u00e9", "cafe\u0301"),
        ("Straße", "STRASSE"),
    ],
)
def test_case_white_space_and_normal_form_make_no_difference(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert found([one, other, "another"]) == {(0, 1)}


@pytest.mark.parametrize("text", [sentence(0), KOREAN, sentence(1, 2000)], ids=["latin", "korean", "long"])
@pytest.mark.parametrize(
    "edit", [lambda text: text + "!", lambda text: text[1:], lambda text: text.replace("a", "o", 1)]
)
def test_a_text_with_a_small_edit_is_near_identical(text: str, edit: "type[str]") -> None:
    others = [sentence(seed) for seed in range(2, 200)]
    assert found([text, *others, edit(text)]) == {(0, 199)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of Peru ?", "What is the capital of Iran ?"),
        ("I loved this film", "I hated this film"),
        ("1111 texts", "11111 texts"),
        ("정말 재미있는 영화였어요", "정말 재미없는 영화였어요"),
        (" ".join(random.Random(1).choices(SYLLABLES, k=9000)), " ".join(random.Random(2).choices(SYLLABLES, k=9000))),
        ("".join(random.Random(1).choices("ACGT", k=30_000)), "".join(random.Random(2).choices("ACGT", k=30_000))),
    ],
    ids=["question", "verb", "number", "korean", "few-words", "genes"],
)
def test_texts_that_differ_in_a_word_of_few_are_not(one: str, other: str) -> None:
    assert found([one, other]) == set()


def test_nearly_all_near_identical_pairs_are_found_among_many() -> None:
    texts = [sentence(seed) for seed in range(2000)]
    edited = [text[:60] + "x" + text[61:] for text in texts[:300]]
    wanted = {
        (place, 2000 + place) for place, text in enumerate(edited) if Shingles(text).alike(Shingles(texts[place]))
    }
    assert len(wanted) > 250
    pairs = found(texts + edited)
    assert len(wanted & pairs) >= 0.99 * len(wanted)
    assert pairs <= {(place, 2000 + place) for place in range(300)}


def test_each_text_keeps_its_own_sketch_however_they_are_batched() -> None:
    texts = ["a", "ab", "abc", "x" * 5000, sentence(3), "가", "\U0001f600" * 3] * 5
    whole, single = io.BytesIO(), io.BytesIO()
    with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
        together, alone = TextSketches(one), TextSketches(other)
        for text in texts:
            together.add(text)
            alone.add(text)
            alone.likeness(np.arange(1), texts.__getitem__)  # writes what waits
        together.likeness(np.arange(1), texts.__getitem__)
        for file, into in ((one, whole), (other, single)):
            file.seek(0)
            into.write(file.read())
    assert whole.getvalue() == single.getvalue()
    assert len(whole.getvalue()) == 64 * len(texts)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_the_index_is_that_of_bags_of_trigrams(one: str, other: str) -> None:
    bags = [[text.ljust(3, "\0")[at : at + 3] for at in range(max(1, len(text) - 2))] for text in (one, other)]
    shared = sum(min(bags[0].count(gram), bags[1].count(gram)) for gram in set(bags[0]))
    assert Shingles(one).trigrams.jaccard(Shingles(other).trigrams) == shared / (len(bags[0]) + len(bags[1]) - shared)
