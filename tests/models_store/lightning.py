"""Checkpoints as people have them: trained and saved by plain Lightning, which knows nothing of this service."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet18


class LitAutoencoder(pl.LightningModule):
    """The manual's example: an encoder that gives 100 features, and a decoder."""

    def __init__(self, rate: float = 1e-3, size: int = 16) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.rate = rate
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(768, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 100)
        )
        self.decoder = nn.Sequential(
            nn.Linear(100, 128), nn.ReLU(), nn.Linear(128, 768), nn.Unflatten(1, (3, size, size))
        )

    def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
        """Mean squared error of the reconstruction."""
        (pixels,) = batch
        return nn.functional.mse_loss(self.decoder(self.encoder(pixels)), pixels)

    def configure_optimizers(self) -> Any:
        """Adam and a schedule, whose states are in the checkpoint too."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.rate)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class LitClassifier(pl.LightningModule):
    """A ResNet-18 without its last layer, wrapped as tutorials do, and a head of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential(*list(resnet18(weights=None).children())[:-1])
        self.classifier = nn.Linear(512, 4)

    def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
        """Cross-entropy for labels that are all 0."""
        (pixels,) = batch
        logits = self.classifier(self.feature_extractor(pixels).flatten(1))
        return nn.functional.cross_entropy(logits, torch.zeros(len(pixels), dtype=torch.long))

    def configure_optimizers(self) -> Any:
        """Plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def trained(module: pl.LightningModule, folder: Path, size: int) -> Path:
    """Train two epochs on noise of ``size`` pixels, and give the ``.ckpt`` that Lightning wrote."""
    noise = TensorDataset(torch.rand(8, 3, size, size, generator=torch.Generator().manual_seed(0)))
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(noise, batch_size=4))
    path = folder / "오토인코더.ckpt"
    trainer.save_checkpoint(path)
    return path
