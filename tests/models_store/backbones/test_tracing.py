"""Looking at a module by running it leaves it as it was; one that fills itself up at first use does so beforehand."""

import pytest
import torch
from torch import nn

from models_store.backbones import tracing
from models_store.trunks import backbone_sha256

SHAPE = (2, 3, 8, 8)


class Shared(nn.Module):
    """One layer under two names, as CoaT has it."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 1)
        self.other = self.one
        self.last = nn.Linear(3, 5)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """[N, 3, H, W] → [N, 5]."""
        logits: torch.Tensor = self.last(self.other(self.one(pixels)).mean((2, 3)))
        return logits


class Keeping(nn.Module):
    """Makes a table for the size of its first input, as ConViT does."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(1), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """[N, 3, H, W] → [N, H]."""
        if len(self.get_buffer("table")) != pixels.shape[2]:
            self.table = torch.arange(pixels.shape[2], dtype=torch.float32, device=pixels.device)
        return pixels.mean((1, 3)) + self.get_buffer("table")


@pytest.mark.parametrize("module", [Shared().eval(), Keeping().eval()])
def test_looking_leaves_the_module_as_it_was(module: nn.Module) -> None:
    before = backbone_sha256(module)
    assert tracing.output_shape(module, SHAPE) == (2, 5 if isinstance(module, Shared) else 8)
    assert backbone_sha256(module) == before
    assert {tensor.device.type for tensor in (*module.parameters(), *module.buffers())} == {"cpu"}


def test_the_classifier_is_the_last_layer_of_that_many_outputs() -> None:
    assert tracing.find_classifier(Shared().eval(), SHAPE, classes=5) == "last"
    assert tracing.find_classifier(Shared().eval(), SHAPE, classes=3) == "one"


def test_a_settled_module_keeps_its_buffers_through_a_forward_pass() -> None:
    module = Keeping().eval()
    tracing.settle(module, SHAPE)
    before = backbone_sha256(module)
    module(torch.rand(SHAPE))
    assert backbone_sha256(module) == before


def test_settling_runs_nothing_where_nothing_is_kept() -> None:
    module = Shared().eval()
    ran: list[int] = []
    module.last.register_forward_hook(lambda _layer, _inputs, output: ran.append(output.device.type == "cpu"))
    tracing.settle(module, SHAPE)
    assert not any(ran)
