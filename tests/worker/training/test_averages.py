import math

import pytest
import torch

from worker.training.averages import Mean


def test_values_count_by_their_weights_one_by_one_and_together() -> None:
    one, together = Mean(), Mean()
    for value, weight in ((1.0, 3), (2.0, 1)):
        one.update(torch.tensor(value), weight)
    together.update(torch.tensor([1.0, 2.0]), torch.tensor([3, 1]))
    assert float(one.compute()) == float(together.compute()) == pytest.approx(1.25)


def test_a_single_value_that_is_no_number_makes_the_mean_none() -> None:
    mean = Mean()
    mean.update(torch.tensor([1.0, math.nan]), torch.tensor([1, 1]))
    assert math.isnan(float(mean.compute()))


def test_a_new_mean_has_nothing_of_the_one_before() -> None:
    mean = Mean()
    mean.update(torch.tensor(5.0), 2)
    mean.reset()
    mean.update(torch.tensor(1.0), 1)
    assert float(mean.compute()) == 1.0


def test_many_small_values_are_not_lost_in_a_large_sum() -> None:
    mean = Mean()
    mean.update(torch.tensor(1.0), 10**9)
    for _ in range(100):
        mean.update(torch.tensor(2.0), 1)
    assert float(mean.total) == 10**9 + 200
