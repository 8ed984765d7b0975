import pytest
import torch
from finetuned_test_plugins import Tiny

from models_store.backbones.family import IMAGES, Architecture, Batch
from models_store.network import Network
from models_store.spec import Training
from worker.training import batching, footprint
from worker.training.batching import by_examples, estimated, largest_that
from worker.training.strategies import full
from worker.training.trial import Trial

MIB = 2**20


@pytest.mark.parametrize(
    ("examples", "kind", "expected"),
    [
        (5, "cpu", 8),
        (24, "cached", 8),
        (159, "cpu", 8),
        (160, "cpu", 16),
        (640, "cpu", 64),
        (10**6, "cpu", 64),
        (2_559, "gpu", 128),
        (2_560, "gpu", 256),
        (10**6, "cached", 256),
    ],
)
def test_an_epoch_keeps_some_steps(examples: int, kind: str, expected: int) -> None:
    assert by_examples(examples, kind) == expected


@pytest.mark.parametrize(("room", "expected"), [(1_000, 256), (256, 256), (255, 128), (3, 2), (1, 1), (0, 1)])
def test_a_batch_is_halved_until_it_fits(room: int, expected: int) -> None:
    assert largest_that(lambda size: size <= room, 256) == expected


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (10_000 * MIB, 64),
        (1_250 * MIB, 64),  # 100 + 62 × 10 = 720 MiB are less than 60 % of it
        (1_190 * MIB, 32),  # … and more than 60 % of this
        (200 * MIB, 4),
        (1 * MIB, 1),
    ],
)
def test_memory_grows_with_the_batch_beyond_what_every_batch_takes(free: int, expected: int) -> None:
    """Two items took 100 MiB, eight 160: ten each, and 80 whatever the batch."""
    assert estimated(100 * MIB, 160 * MIB, free, 64) == expected


class Wide(Tiny):
    """Keeps 32 MiB an item for the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(32 * MIB // 4))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = super().forward(pixels)
        kept = (self.scale * pixels[:, 0, 0, 0, None]).exp()
        return features + 0 * kept.mean()


def trial(module: torch.nn.Module) -> Trial:
    network = Network(module, Architecture("plugin", "tiny", IMAGES, 16, {}), 3)
    return Trial(network, full, Training(), torch.device("cpu"))


def longest(count: int) -> Batch:
    return {"pixels": torch.rand(count, 3, 32, 32), "label": torch.arange(count) % 3}


def test_the_memory_of_real_steps_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is free is set, as the machine's is not ours to choose; what a step takes is measured."""
    steps: list[int] = []
    monkeypatch.setattr(footprint, "available", lambda: 3_000 * MIB)
    choice = batching.on_cpu(10**6, lambda: trial(Wide()), longest, lambda: steps.append(1))
    assert choice.batch_size in {8, 16, 32}, choice
    assert len(steps) == 2
    monkeypatch.setattr(footprint, "available", lambda: 300_000 * MIB)
    assert batching.on_cpu(10**6, lambda: trial(Wide()), longest, lambda: None).batch_size == 64


def test_a_system_that_does_not_tell_its_memory_gets_the_usual_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "available", lambda: None)
    choice = batching.on_cpu(10**6, lambda: trial(Tiny()), longest, lambda: None)
    assert (choice.batch_size, choice.why) == (32, "this system does not tell how much memory there is")


def test_on_a_gpu_a_batch_that_does_not_fit_is_halved() -> None:
    """A module stands for the device: it raises what a full one raises."""

    class RoomForTen(Tiny):
        def misbehave(self, pixels: torch.Tensor) -> None:
            if len(pixels) > 10:
                raise torch.OutOfMemoryError("a device with room for ten")

    assert batching.on_gpu(10**6, lambda: trial(RoomForTen()), longest, lambda: None).batch_size == 8


def test_a_trial_changes_neither_the_network_nor_any_generator() -> None:
    network = Network(Tiny(), Architecture("plugin", "tiny", IMAGES, 16, {}), 3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    with Trial(network, full, Training(head_lr=1.0, backbone_lr=1.0), torch.device("cpu")) as tried:
        losses = [tried.step(longest(6)) for _ in range(3)]
    assert len(set(losses)) == 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)
