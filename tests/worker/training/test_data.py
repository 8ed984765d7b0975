import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.training.data import Loader, Runs
from worker.training.sampling import Rows


def fetch(rows: Rows) -> dict[str, torch.Tensor]:
    return {"rows": torch.from_numpy(rows)}


def drawn(loader: Loader) -> list[list[int]]:
    return [batch["rows"].tolist() for batch in loader]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 3), st.data())
def test_a_loader_goes_on_where_its_state_says(size: int, batch: int, threads: int, data: st.DataObject) -> None:
    whole = Loader(size, fetch, batch, seed=3, threads=threads)
    expected = drawn(whole)
    taken = data.draw(st.integers(0, len(expected) - 1))
    first = Loader(size, fetch, batch, seed=3)
    iterator = iter(first)
    begun = [next(iterator)["rows"].tolist() for _ in range(taken)]
    second = Loader(size, fetch, batch, seed=3, threads=threads)
    second.load_state_dict(first.state_dict())
    assert begun + drawn(second) == expected


def test_every_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    loader = Loader(50, fetch, 8, seed=1)
    orders = []
    for epoch in range(3):
        loader.begin(epoch)
        orders.append([row for rows in drawn(loader) for row in rows])
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int) -> list[list[int]]:
        return drawn(Loader(30, fetch, 4, seed=seed))

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_without_a_seed_the_order_is_kept() -> None:
    assert np.concatenate(drawn(Loader(10, fetch, 3))).tolist() == list(range(10))


def test_an_error_in_a_preparing_thread_reaches_the_trainer() -> None:
    def broken(rows: Rows) -> dict[str, torch.Tensor]:
        raise ZeroDivisionError(str(rows))

    with pytest.raises(ZeroDivisionError):
        drawn(Loader(10, broken, 2, threads=2))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.data())
def test_runs_hand_out_the_batches_of_their_loader_and_go_on_after_any_run(
    size: int, batch: int, together: int, data: st.DataObject
) -> None:
    expected = drawn(Loader(size, fetch, batch, seed=3))
    first = Runs(Loader(size, fetch, batch, seed=3), together)
    taken = data.draw(st.integers(0, len(first) - 1))
    iterator = iter(first)
    begun = [one["rows"].tolist() for _ in range(taken) for one in next(iterator)]
    second = Runs(Loader(size, fetch, batch, seed=3), together)
    second.load_state_dict(first.state_dict())
    runs = list(second)
    assert begun + [one["rows"].tolist() for run in runs for one in run] == expected
    assert taken + len(runs) == len(first)
    assert all(len(run) == together for run in runs[:-1])
