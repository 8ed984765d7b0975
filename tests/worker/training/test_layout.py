"""Training in channels-last: where it is taken, and that it changes nothing but the speed."""

from pathlib import Path
from typing import Any, cast

import pytest
import pytorch_lightning as pl
import torch
from finetuned_test_plugins import Tiny
from torch import Tensor, nn

from tests.worker.training.tiny_fit import same
from tests.worker.training.trainable import Trainable, trainable
from worker.training import fitting, layout
from worker.training.strategies import Strategy, full


class Stubborn(Tiny):
    """The same, but its code is not for weights in another layout."""

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, 32, 32] → [N, 16, 1, 1]."""
        if not next(self.parameters()).is_contiguous():
            raise RuntimeError("view size is not compatible with input tensor's size and stride")
        return super().forward(pixels)


class Watching(pl.Callback):
    """Whether the weights of the convolution lie in channels-last as the training starts."""

    def __init__(self) -> None:
        self.seen: list[bool] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        del trainer
        weights = [one for one in pl_module.parameters() if one.ndim == 4]
        self.seen += [one.is_contiguous(memory_format=torch.channels_last) for one in weights]


def train(one: Trainable, watching: Watching) -> dict[str, Tensor]:
    """Its weights after a whole training, which the callback watches."""

    class Watched:
        CACHES_FEATURES = False
        parameter_groups = staticmethod(full.parameter_groups)

        @staticmethod
        def callbacks(*_: Any) -> list[pl.Callback]:
            return [watching]

    spec, _ = one.settle()
    strategy = cast(Strategy, Watched)
    material = fitting.material(spec.training, one.data, one.network, strategy, one.preprocessing, one.extraction)
    fitting.fit(one.attempt, spec, one.data, one.network, strategy, material, halvings=0)
    return one.network.state_dict()


@pytest.mark.parametrize(("module", "last"), [(Tiny(), True), (Stubborn(), False)], ids=["plain", "stubborn"])
def test_it_is_taken_where_the_network_trains_in_it(tmp_path: Path, module: nn.Module, last: bool) -> None:
    watching = Watching()
    one = trainable(tmp_path, module=module, strategy="full", training={"max_epochs": 1})
    saved = train(one, watching)
    assert watching.seen == [last]
    assert all(tensor.is_contiguous() for tensor in saved.values())


def test_asking_changes_neither_the_network_nor_the_random_generators(tmp_path: Path) -> None:
    one = trainable(tmp_path, strategy="full")
    before = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert layout.suits(one.network, one.spec.training, one.data.train)
    assert torch.equal(torch.rand(1), expected)
    assert same(one.network.state_dict(), before)


def test_the_weights_are_those_of_the_other_layout(tmp_path: Path) -> None:
    def weights(name: str, module: nn.Module) -> dict[str, Tensor]:
        asked = {"max_epochs": 2, "optimizer": "sgd", "precision": "32", "backbone_lr": 0.01}
        return train(trainable(tmp_path / name, module=module, strategy="full", training=asked), Watching())

    last, first = weights("last", Tiny()), weights("first", Stubborn())
    assert all(torch.allclose(last[name], first[name], atol=1e-5) for name in first)


def test_a_network_without_convolutions_has_no_use_for_it(tmp_path: Path) -> None:
    one = trainable(tmp_path, strategy="full")
    one.network.backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16))
    assert not layout.suits(one.network, one.spec.training, one.data.train)


class Deep(Tiny):
    """With a convolution over time too, whose weights have five dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.over_time = nn.Conv3d(3, 3, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, 32, 32] → [N, 16, 1, 1]."""
        return super().forward(self.over_time(pixels[:, :, None])[:, :, 0])


def test_only_the_weights_of_flat_convolutions_are_laid_out(tmp_path: Path) -> None:
    one = trainable(tmp_path, module=Deep(), strategy="full", training={"max_epochs": 1})
    watching = Watching()
    saved = train(one, watching)
    assert watching.seen == [True]
    assert all(tensor.is_contiguous() for tensor in saved.values())


def test_a_training_that_ends_badly_leaves_the_network_as_it_is_saved(tmp_path: Path) -> None:
    network = trainable(tmp_path, strategy="full").network
    with pytest.raises(InterruptedError), layout.channels_last(network, wanted=True):
        raise InterruptedError
    assert all(tensor.is_contiguous() for tensor in network.state_dict().values())
