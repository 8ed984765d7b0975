"""Choices of rows: bounded, repeatable, fair."""

import torch

from models_store.reporting.sampling import evenly_spaced, spread_over_classes


def test_every_class_gives_a_row_before_any_gives_another() -> None:
    labels = torch.tensor([0] * 1000 + [1] * 50 + [2] * 3)
    chosen = spread_over_classes(labels, 30)
    assert torch.bincount(labels[chosen]).tolist() == [14, 13, 3]
    assert len(set(chosen.tolist())) == 30
    assert torch.equal(chosen, chosen.sort().values)


def test_rows_of_a_class_come_from_all_of_it_and_are_the_same_each_time() -> None:
    labels = torch.zeros(10_000, dtype=torch.long)
    chosen = spread_over_classes(labels, 100)
    assert 3_000 < float(chosen.double().mean()) < 7_000
    assert torch.equal(chosen, spread_over_classes(labels, 100))


def test_all_rows_are_taken_where_there_are_few() -> None:
    assert spread_over_classes(torch.tensor([1, 0]), 5).tolist() == [0, 1]
    assert evenly_spaced(3, 5).tolist() == [0, 1, 2]


def test_evenly_spaced_rows_reach_from_the_first_to_the_last() -> None:
    chosen = evenly_spaced(1_000_000, 1_000)
    assert (len(set(chosen.tolist())), int(chosen[0]), int(chosen[-1])) == (1_000, 0, 999_999)
