import pytest
import torch
from torch import nn

from models_store.spec import Training
from worker.training.optimizing import clip, optimizer_of


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize(("precision", "fused"), [("32", True), ("bf16-mixed", True), ("16-mixed", False)])
def test_optimizers_are_fused_where_no_scale_of_gradients_stands_against_it(
    name: str, precision: str, fused: bool
) -> None:
    training = Training.model_validate({"optimizer": name, "precision": precision})
    optimizer = optimizer_of(training, [{"params": list(nn.Linear(2, 2).parameters()), "lr": 0.1}])
    assert optimizer.defaults["fused"] is fused
    assert optimizer.defaults["weight_decay"] == training.weight_decay


def test_all_groups_are_clipped_to_one_norm() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    for parameter, slope in zip(parameters, (3.0, 4.0), strict=True):
        parameter.grad = torch.tensor([slope])
    optimizer = torch.optim.SGD([{"params": [one]} for one in parameters], lr=0.1)
    clip(optimizer, None)
    assert [float(one.grad) for one in parameters if one.grad is not None] == [3.0, 4.0]
    clip(optimizer, 1.0)
    assert [float(one.grad) for one in parameters if one.grad is not None] == pytest.approx([0.6, 0.8])
