"""Batch normalisation over parts is that of the whole. Here threads stand for processes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from worker.training.devices import group
from worker.training.devices.normalising import WholeBatch

ITEMS = torch.randn(7, 5, 3, 3, generator=torch.Generator().manual_seed(3)) * 4 + 10
SLOPES = torch.randn(7, 5, 3, 3, generator=torch.Generator().manual_seed(4))


class Exchange:
    """What processes tell each other, between threads."""

    def __init__(self, threads: int) -> None:
        self._barrier = threading.Barrier(threads, timeout=20)
        self._said: dict[int, Tensor] = {}
        self.place = threading.local()

    def everyones(self, values: Tensor) -> Tensor:
        self._said[self.place.number] = values
        self._barrier.wait()
        found = torch.stack([self._said[number] for number in sorted(self._said)])
        self._barrier.wait()
        return found

    def summed(self, values: Tensor) -> Tensor:
        return self.everyones(values).sum(dim=0)


class Halved(nn.BatchNorm2d):
    """As timm's with an activation: a subclass that calls the function itself."""

    def forward(self, inputs: Tensor) -> Tensor:
        normalised = F.batch_norm(
            inputs, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.3, 1e-3
        )
        return normalised / 2


def layer(kind: type[nn.BatchNorm2d]) -> nn.BatchNorm2d:
    torch.manual_seed(0)
    made = kind(5)
    nn.init.normal_(made.weight)
    nn.init.normal_(made.bias)
    return made


def results(made: nn.BatchNorm2d, output: Tensor, inputs: Tensor) -> list[Tensor]:
    """Output, the inputs' gradient, that of weight and bias, and the running statistics."""
    found = [output.detach(), inputs.grad, made.weight.grad, made.bias.grad, made.running_mean, made.running_var]
    return [one for one in found if one is not None]


def by_parts(kind: type[nn.BatchNorm2d], parts: list[slice], patch: pytest.MonkeyPatch) -> list[list[Tensor]]:
    exchange = Exchange(len(parts))
    patch.setattr(group, "everyones", exchange.everyones)
    patch.setattr(group, "summed", exchange.summed)

    layers = [layer(kind) for _ in parts]  # not in the threads, which draw from one generator

    def run(number: int) -> list[Tensor]:
        exchange.place.number = number
        made, part = layers[number], parts[number]
        counts = part.stop > part.start
        inputs = (ITEMS[part] if counts else ITEMS[:1]).clone().requires_grad_()
        with WholeBatch(torch.tensor(float(counts))):
            output = made(inputs)
        output.backward(SLOPES[part] if counts else torch.zeros_like(output))
        return results(made, output, inputs)

    with ThreadPoolExecutor(len(parts)) as threads:
        return list(threads.map(run, range(len(parts))))


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, Halved])
def test_parts_of_a_batch_are_normalised_and_learn_as_the_whole_does(
    kind: type[nn.BatchNorm2d], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, inputs = layer(kind), ITEMS.clone().requires_grad_()
    output = made(inputs)
    output.backward(SLOPES)
    expected = results(made, output, inputs)
    first, second, none = by_parts(kind, [slice(0, 4), slice(4, 7), slice(7, 7)], monkeypatch)
    found = [
        *(torch.cat([first[number], second[number]]) for number in (0, 1)),
        *(first[number] + second[number] + none[number] for number in (2, 3)),
    ]
    for one, other in zip(found, expected[:4], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    for part in (first, second, none):
        torch.testing.assert_close(part[4:], expected[4:], rtol=1e-5, atol=1e-6)
    assert not none[1].any(), "an item that does not count moves nothing"


def test_what_is_frozen_is_normalised_by_its_own_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(_: Tensor) -> Tensor:
        raise AssertionError("nothing to tell")

    told: Callable[[Tensor], Tensor] = unwanted
    monkeypatch.setattr(group, "everyones", told)
    frozen = layer(nn.BatchNorm2d).eval()
    with WholeBatch(torch.tensor(1.0)):
        found = frozen(ITEMS)
    torch.testing.assert_close(found, frozen(ITEMS))
