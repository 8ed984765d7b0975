import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.training.data import Loader
from worker.training.sampling import Rows, balanced, stratified

UNEVEN = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)


def drawn(labels: torch.Tensor, seed: int) -> Rows:
    return balanced(labels)(np.random.default_rng(seed))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 5))
def test_balanced_draws_each_class_as_often_and_keeps_the_epochs_length(labels: list[int], seed: int) -> None:
    rows = drawn(torch.tensor(labels), seed)
    assert len(rows) == len(labels)
    counts = [int((np.array(labels)[rows] == label).sum()) for label in set(labels)]
    assert max(counts) - min(counts) <= 1


def test_balanced_goes_through_a_small_class_evenly_and_repeats_nothing_of_a_large_one() -> None:
    rows = drawn(UNEVEN, 0)
    large, small = rows[rows < 80], rows[rows >= 95]
    assert len(set(large.tolist())) == len(large)
    assert set(np.bincount(small - 95, minlength=5).tolist()) <= {6, 7}


def test_balanced_mixes_the_classes() -> None:
    first = UNEVEN.numpy()[drawn(UNEVEN, 0)[:20]]
    assert set(first.tolist()) == {0, 1, 2}


def test_a_balanced_loader_is_a_function_of_seed_and_epoch_and_goes_on_where_its_state_says() -> None:
    def fetch(rows: Rows) -> dict[str, torch.Tensor]:
        return {"rows": torch.from_numpy(rows)}

    def epochs(loader: Loader) -> list[list[int]]:
        return [batch["rows"].tolist() for epoch in (0, 1) for batch in _epoch(loader, epoch)]

    def _epoch(loader: Loader, epoch: int) -> Loader:
        loader.begin(epoch)
        return loader

    def make() -> Loader:
        return Loader(100, fetch, 8, seed=4, order=balanced(UNEVEN))

    whole = epochs(make())
    assert whole == epochs(make())
    assert whole[:13] != whole[13:]
    resumed = make()
    resumed.load_state_dict({"epoch": 1, "taken": 5})
    assert [batch["rows"].tolist() for batch in resumed] == whole[13 + 5 :]


def test_a_stratified_sample_has_each_class_by_its_share_and_so_has_its_half() -> None:
    labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)[torch.randperm(1000)]
    sample = stratified(labels, 100, seed=3)
    assert np.bincount(labels.numpy()[sample]).tolist() == [60, 30, 10]
    assert np.bincount(labels.numpy()[sample[:50]]).tolist() == [30, 15, 5]


def test_a_stratified_sample_has_every_class_where_there_is_room() -> None:
    labels = torch.tensor([0] * 10_000 + [1, 2, 3])
    assert set(labels.numpy()[stratified(labels, 10, seed=0)].tolist()) == {0, 1, 2, 3}


def test_a_stratified_sample_is_a_function_of_the_seed() -> None:
    labels = torch.arange(300) % 3
    assert stratified(labels, 30, 1).tolist() == stratified(labels, 30, 1).tolist()
    assert stratified(labels, 30, 1).tolist() != stratified(labels, 30, 2).tolist()


def test_a_sample_of_a_small_set_is_the_whole_set() -> None:
    assert sorted(stratified(torch.tensor([0, 1, 1]), 2_000, 0).tolist()) == [0, 1, 2]
