from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from finetuned_test_plugins import Tiny, Words

from models_store.errors import InvalidError
from models_store.itemset import ItemSet, ItemSetWriter
from models_store.preprocessing.protocol import Preprocessing
from tests.models_store.samples import encoded, noise
from worker.training.augmentation import AugmentedRows, Strength, thinned
from worker.training.data import ItemRows, Loader
from worker.training.sampling import Rows

TEXT = "하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열"


def stored(folder: Path, contents: Sequence[bytes], preprocessing: Preprocessing) -> ItemRows:
    folder.mkdir()
    with ItemSetWriter(folder) as writer:
        items = [writer.add(f"{number:03}", "a", "train", content) for number, content in enumerate(contents)]
    return ItemRows(ItemSet(folder), items, ["a"], preprocessing)


@pytest.fixture
def pictures(tmp_path: Path) -> ItemRows:
    return stored(tmp_path / "set", [encoded(noise(40, 30, seed)) for seed in range(12)], Tiny.preprocessing)


def augmented(rows: ItemRows, strength: Strength = "light", seed: int = 0) -> AugmentedRows:
    return AugmentedRows(rows, Tiny.preprocessing, strength, seed)


def pixels(rows: AugmentedRows, epoch: int, places: Rows) -> torch.Tensor:
    return rows.drawn(np.arange(len(places)), epoch, places)["pixels"]


def epoch_of(loader: Loader, epoch: int) -> list[torch.Tensor]:
    loader.begin(epoch)
    return [batch["pixels"] for batch in loader]


def test_pictures_differ_from_epoch_to_epoch_from_seed_to_seed_and_from_place_to_place(pictures: ItemRows) -> None:
    here = np.arange(3)
    plain = pixels(augmented(pictures), 0, here)
    assert torch.equal(plain, pixels(augmented(pictures), 0, here))
    for other in (
        pixels(augmented(pictures), 1, here),
        pixels(augmented(pictures, seed=1), 0, here),
        pixels(augmented(pictures), 0, here + 5),
        pixels(augmented(pictures, "strong"), 0, here),
    ):
        assert not any(torch.equal(one, another) for one, another in zip(plain, other, strict=True))


def test_the_tensors_have_the_presets_size_and_normalisation(pictures: ItemRows) -> None:
    batch = augmented(pictures, "strong").drawn(np.arange(12), 0, np.arange(12))
    assert batch["pixels"].shape == (12, 3, 32, 32)
    assert batch["label"].tolist() == [0] * 12
    assert -1 <= float(batch["pixels"].min()) < -0.5 < 0.5 < float(batch["pixels"].max()) <= 1


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_preparing_threads_change_nothing_and_draw_from_no_shared_generator(pictures: ItemRows, threads: int) -> None:
    rows = augmented(pictures, "strong")
    expected = epoch_of(Loader(12, rows, 5, seed=3), epoch=2)
    before = torch.get_rng_state()
    found = epoch_of(Loader(12, rows, 5, seed=3, threads=threads), epoch=2)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loader_that_goes_on_gives_the_same_pictures(pictures: ItemRows) -> None:
    rows = augmented(pictures)
    expected = epoch_of(Loader(12, rows, 5, seed=3), epoch=4)
    resumed = Loader(12, rows, 5, seed=3, threads=2)
    resumed.load_state_dict({"epoch": 4, "taken": 1})
    assert all(torch.equal(batch["pixels"], one) for batch, one in zip(resumed, expected[1:], strict=True))


def test_a_loader_gives_other_pictures_in_every_epoch(pictures: ItemRows) -> None:
    loader = Loader(12, augmented(pictures), 4)  # in the rows' own order, so that only the epoch makes a difference
    first, second = epoch_of(loader, 0), epoch_of(loader, 1)
    assert not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_rows_that_are_not_augmented_stay_as_they_are(pictures: ItemRows) -> None:
    assert torch.equal(pictures(np.arange(3))["pixels"], pictures(np.arange(3))["pixels"])
    loader = Loader(12, pictures, 4)
    assert all(torch.equal(one, other) for one, other in zip(epoch_of(loader, 0), epoch_of(loader, 1), strict=True))


def test_a_picture_that_cannot_be_read_any_more_is_named(tmp_path: Path) -> None:
    rows = stored(tmp_path / "set", [b"no picture"], Tiny.preprocessing)
    with pytest.raises(InvalidError, match="'000'") as refusal:
        augmented(rows).drawn(np.arange(1), 0, np.arange(1))
    assert refusal.value.code == "dataset_damaged"


@pytest.mark.parametrize(("share", "least", "most"), [(0.1, 0.05, 0.15), (0.2, 0.15, 0.25)])
def test_words_are_left_out_in_the_given_share_and_keep_their_order(share: float, least: float, most: float) -> None:
    words = [f"w{number}" for number in range(2_000)]
    kept = thinned(" ".join(words), share, np.random.default_rng(0)).split()
    assert least < 1 - len(kept) / len(words) < most
    assert kept == [word for word in words if word in set(kept)]


def test_one_word_is_kept_at_least() -> None:
    left = {thinned("하나 둘", 0.99, np.random.default_rng(seed)) for seed in range(50)}
    assert left == {"하나", "둘"}
    assert thinned("하나", 0.99, np.random.default_rng(0)) == "하나"


def test_of_scripts_without_spaces_characters_are_left_out() -> None:
    assert 0 < len(thinned("这部电影真的非常好看" * 10, 0.2, np.random.default_rng(0))) < 100


def test_a_text_of_which_nothing_is_left_out_is_the_same_to_the_byte() -> None:
    assert thinned("  a\t\nb  ", 0.0, np.random.default_rng(0)) == "  a\t\nb  "


def test_texts_are_thinned_before_the_tokenizer(tmp_path: Path) -> None:
    preprocessing = Words().preprocessing
    rows = stored(tmp_path / "set", [TEXT.encode()], preprocessing)
    thin = AugmentedRows(rows, preprocessing, "strong", seed=0)
    lengths = {thin.drawn(np.arange(1), 0, np.array([place]))["input_ids"].shape[1] for place in range(20)}
    assert rows(np.arange(1))["input_ids"].shape[1] == 10
    assert max(lengths) <= 10
    assert len(lengths) > 2


def test_input_that_is_prepared_in_an_unknown_way_is_refused_with_what_to_do(pictures: ItemRows) -> None:
    class Unknown(Words):
        """Neither of the known kinds."""

    with pytest.raises(InvalidError, match="Choose augmentation none") as refusal:
        AugmentedRows(pictures, cast(Preprocessing, Unknown()), "light", seed=0)
    assert refusal.value.code == "augmentation_unsupported"
