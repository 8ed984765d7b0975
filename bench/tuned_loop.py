"""A plain PyTorch loop tuned by hand for the CPU that is there, which trains the whole model: what can be had at most.

    python -m bench.tuned_loop --data DIR --arch resnet18 --epochs 3

Channels-last, bfloat16 autocast where the CPU computes with it, fused AdamW, a schedule and clipping as our jobs have
them, images decoded by worker processes that live as long as the loop. DIR holds train/CLASS/*.jpg and val/CLASS/*.jpg.
Prints one JSON line: the seconds of each epoch, validation included, and the last one's accuracy.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.datasets import ImageFolder

from models_store import processors

HEAD_RATE, BACKBONE_RATE, DECAY, CLIP = 1e-3, 1e-5, 0.01, 1.0
HAS_BFLOAT16 = processors.has_bfloat16()
"""Where it has none, bfloat16 is emulated and slow."""


def main() -> None:
    """Train, and print what it took."""
    chosen = _arguments()
    torch.manual_seed(chosen.seed)
    folders = [_images(chosen, split) for split in ("train", "val")]
    loaders = [_loader(images, chosen.batch_size, shuffle=images is folders[0]) for images in folders]
    model, head = _model(chosen.arch, len(folders[0].classes))
    optimizer = _optimizer(model, head)
    schedule = CosineAnnealingLR(optimizer, chosen.epochs * len(loaders[0]))
    seconds, accuracy = [], 0.0
    for _ in range(chosen.epochs):
        began = time.perf_counter()
        _train(model, loaders[0], optimizer, schedule)
        accuracy = _validate(model, loaders[1])
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"epoch_seconds": seconds, "val_accuracy": accuracy}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--arch", default="resnet18")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _images(chosen: argparse.Namespace, split: str) -> ImageFolder:
    return ImageFolder(str(chosen.data / split), models.get_model_weights(chosen.arch).DEFAULT.transforms())


def _loader(images: ImageFolder, batch_size: int, *, shuffle: bool) -> DataLoader[Any]:
    workers = min(8, os.cpu_count() or 1)
    return DataLoader(images, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=True)


def _model(name: str, classes: int) -> tuple[nn.Module, nn.Module]:
    """The network with a new last layer, and that layer."""
    network: Any = models.get_model(name, weights="DEFAULT")
    head = nn.Linear(network.fc.in_features, classes)
    network.fc = head
    return network.to(memory_format=torch.channels_last), head


def _optimizer(model: nn.Module, head: nn.Module) -> torch.optim.Optimizer:
    heads = set(head.parameters())
    backbone = [one for one in model.parameters() if one not in heads]
    groups = [{"params": list(heads), "lr": HEAD_RATE}, {"params": backbone, "lr": BACKBONE_RATE}]
    return torch.optim.AdamW(groups, weight_decay=DECAY, fused=True)


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=HAS_BFLOAT16):
        logits: Tensor = model(images.contiguous(memory_format=torch.channels_last))
    return logits.float()


def _train(
    model: nn.Module, loader: DataLoader[Any], optimizer: torch.optim.Optimizer, schedule: CosineAnnealingLR
) -> None:
    model.train()
    for images, labels in loader:
        loss = F.cross_entropy(_logits(model, images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()


@torch.inference_mode()
def _validate(model: nn.Module, loader: DataLoader[Any]) -> float:
    model.eval()
    right = [(_logits(model, images).argmax(1) == labels).float() for images, labels in loader]
    return float(torch.cat(right).mean())


if __name__ == "__main__":
    main()
