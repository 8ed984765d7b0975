import copy

import pytest
import torch
from torch import nn

from models_store.spec import Training
from worker.training.optimizing import clip, lay_out, optimizer_of


def made(parameters: list[nn.Parameter], name: str = "adamw", precision: str = "32") -> torch.optim.Optimizer:
    training = Training.model_validate({"optimizer": name, "precision": precision, "weight_decay": 0.02})
    return optimizer_of(training, [{"params": parameters, "lr": 0.1}])


@pytest.mark.parametrize("name", ["adamw", "adam"])
@pytest.mark.parametrize(("precision", "fused"), [("32", True), ("bf16-mixed", True), ("16-mixed", False)])
def test_optimizers_are_fused_where_no_scale_of_gradients_stands_against_it(
    name: str, precision: str, fused: bool
) -> None:
    optimizer = made(list(nn.Linear(2, 2).parameters()), name, precision)
    assert optimizer.defaults["fused"] is fused
    assert optimizer.defaults["weight_decay"] == 0.02


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_a_parameter_may_get_its_first_gradient_later_than_others(name: str) -> None:
    first, late = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    optimizer = made([first, late], name)
    for trained in ([first], [first, late]):
        for one in trained:
            one.grad = torch.ones(2)
        optimizer.step()
    assert float(first.detach().sum()) < float(late.detach().sum()) < 0


def test_a_parameter_with_holes_in_memory_leaves_them_alone() -> None:
    memory = torch.zeros(2, 4)
    optimizer = made([nn.Parameter(memory[:, :2])])
    optimizer.param_groups[0]["params"][0].grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(memory[:, 2:], torch.zeros(2, 2))
    assert bool((memory[:, :2] < 0).all())


def test_state_of_another_layout_is_laid_out_as_its_parameters_are() -> None:
    torch.manual_seed(0)
    straight = nn.Conv2d(3, 4, 3, bias=False)
    turned = copy.deepcopy(straight).to(memory_format=torch.channels_last)
    steps = [torch.randn(4, 3, 3, 3) for _ in range(2)]
    before, after = (made(list(one.parameters())) for one in (straight, turned))
    straight.weight.grad = steps[0]
    before.step()
    with torch.no_grad():
        turned.weight.copy_(straight.weight)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    lay_out(after)
    for module, optimizer in ((straight, before), (turned, after)):
        module.weight.grad = torch.empty_like(module.weight).copy_(steps[1])
        optimizer.step()
    assert all(
        value.stride() == turned.weight.stride() for value in after.state[turned.weight].values() if value.ndim == 4
    )
    assert torch.allclose(turned.weight, straight.weight, atol=1e-7)


def test_all_groups_are_clipped_to_one_norm() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    for parameter, slope in zip(parameters, (3.0, 4.0), strict=True):
        parameter.grad = torch.tensor([slope])
    optimizer = torch.optim.SGD([{"params": [one]} for one in parameters], lr=0.1)
    clip(optimizer, None)
    assert [float(one.grad) for one in parameters if one.grad is not None] == [3.0, 4.0]
    clip(optimizer, 1.0)
    assert [float(one.grad) for one in parameters if one.grad is not None] == pytest.approx([0.6, 0.8])
