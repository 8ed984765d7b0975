"""What a job does with a backbone, in small: a frozen step, a step of everything, saved, loaded, asked again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models_store import bundle
from models_store.backbones.family import Backbone, Batch
from models_store.network import Network
from models_store.preprocessing.protocol import Prepared, Preprocessing
from models_store.trunks import backbone_sha256

LABELS = ["개", "cat", "새"]
RATE = 1e-4


def collated(preprocessing: Preprocessing, contents: list[bytes]) -> Batch:
    """A batch of contents that are all good."""
    items = [item for item in preprocessing.prepare(contents) if isinstance(item, Prepared)]
    assert len(items) == len(contents)
    return preprocessing.collate(items)


def assert_fine_tunes(backbone: Backbone, contents: list[bytes], folder: Path) -> None:
    """The whole life of a model on this backbone, which is of no use after it; ``contents`` are at most three items."""
    torch.manual_seed(0)
    batch = collated(backbone.preprocessing, contents)
    network = Network(backbone.module, backbone.architecture, len(LABELS))
    _assert_frozen_step(network, batch)
    _assert_full_step(network, batch)
    network.eval()
    with torch.no_grad():
        expected = network(batch)
    assert torch.isfinite(expected).all()
    card = {"labels": LABELS}
    bundle.save(folder / "model", folder / "store", network, backbone.architecture, backbone.preprocessing, card)
    network.to("meta")  # it is on disk now: a large one is not held twice
    _assert_serves(folder, contents, expected)


def _assert_frozen_step(network: Network, batch: Batch) -> None:
    network.freeze_backbone()
    before, head = backbone_sha256(network.backbone), network.head.weight.detach().clone()
    network.train()
    _step(network, batch, network.head.parameters())
    assert backbone_sha256(network.backbone) == before
    assert not torch.equal(network.head.weight, head)
    assert not any(module.training for module in network.backbone.modules())


def _assert_full_step(network: Network, batch: Batch) -> None:
    before = backbone_sha256(network.backbone)
    network.unfreeze_backbone()
    network.train()
    assert all(parameter.requires_grad for parameter in network.parameters())
    _step(network, batch, network.parameters())
    assert backbone_sha256(network.backbone) != before


def _step(network: Network, batch: Batch, parameters: Iterable[nn.Parameter]) -> None:
    """Plain descent, parameter by parameter as the gradients come: those of a large model are never held together."""
    untyped: list[Any] = list(parameters)
    handles = [parameter.register_post_accumulate_grad_hook(_descend) for parameter in untyped]
    labels = torch.arange(len(next(iter(batch.values()))))
    loss: Any = nn.functional.cross_entropy(network(batch), labels)
    loss.backward()
    for handle in handles:
        handle.remove()


def _descend(parameter: torch.Tensor) -> None:
    assert parameter.grad is not None
    with torch.no_grad():
        parameter.sub_(parameter.grad.sign(), alpha=RATE)
    parameter.grad = None


def _assert_serves(folder: Path, contents: list[bytes], expected: torch.Tensor) -> None:
    loaded = bundle.load(folder / "model", folder / "store")
    assert not any(module.training for module in loaded.network.modules())
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    with torch.inference_mode():
        logits = loaded.network(collated(loaded.preprocessing, contents))
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-5)
