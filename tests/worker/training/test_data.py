import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.training.data import IGNORED, Loader, Runs
from worker.training.devices import group
from worker.training.sampling import Rows


def fetch(rows: Rows) -> dict[str, torch.Tensor]:
    return {"rows": torch.from_numpy(rows)}


def labelled(rows: Rows) -> dict[str, torch.Tensor]:
    return {"rows": torch.from_numpy(rows), "label": torch.zeros(len(rows), dtype=torch.long)}


def parts(size: int, batch: int, processes: int, seed: int | None) -> list[list[list[int]]]:
    """The batches of each process in its second epoch, without what does not count."""
    found = []
    for number in range(processes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(group, "place", lambda number=number: (number, processes))
            loader = Loader(size, labelled, batch, seed=seed)
            list(loader)
            batches = list(loader)
        found.append([one["rows"][one["label"] != IGNORED].tolist() for one in batches])
    return found


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


@given(st.integers(1, 40), st.integers(1, 9), st.integers(2, 5))
def test_processes_share_each_batch_and_take_as_many_steps(size: int, batch: int, processes: int) -> None:
    found = parts(size, batch, processes, seed=3)
    alone = Loader(size, fetch, batch, seed=3)
    alone.begin(1)
    whole = drawn(alone)
    assert [len(one) for one in found] == [len(whole)] * processes
    for number, rows in enumerate(whole):
        shares = [one[number] for one in found]
        assert sorted(row for share in shares for row in share) == sorted(rows)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(1, 40), st.integers(1, 9), st.integers(2, 5))
def test_processes_validate_each_row_once_and_nothing_that_does_not_count(
    size: int, batch: int, processes: int
) -> None:
    found = parts(size, batch, processes, seed=None)
    assert sorted(row for one in found for rows in one for row in rows) == list(range(size))
    assert all(rows for one in found for rows in one)
