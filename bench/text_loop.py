"""The plain loop for texts that the manual describes (pattern C), as the oracle beside text jobs.

    python -m bench.text_loop --model FOLDER --train train.csv --validation val.csv --strategy freeze --epochs 3

``from_pretrained``, ``[CLS]`` vector, linear head, Adam at 1e-3 (the whole model: the encoder at ``--backbone-lr``);
the encoder runs in every epoch, in float32. Prints one JSON line: seconds, val_accuracy.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import AutoModel, AutoTokenizer

MAX_LENGTH = 512


class Finetuner(pl.LightningModule):
    """Encoder and head, as in the manual."""

    def __init__(self, folder: str, classes: int, frozen: bool, backbone_lr: float) -> None:
        super().__init__()
        untyped: Any = AutoModel
        self.encoder: nn.Module = untyped.from_pretrained(folder, dtype=torch.float32)
        self.encoder.requires_grad_(not frozen)
        width = int(self.encoder.config.hidden_size)
        self.head = nn.Linear(width, classes)
        self._frozen, self._backbone_lr = frozen, backbone_lr

    def on_train_epoch_start(self) -> None:
        """Frozen: eval mode; else training mode."""
        self.encoder.train(not self._frozen)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Logits [N, classes]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            hidden = self.encoder(**inputs).last_hidden_state[:, 0]
        logits: Tensor = self.head(hidden)
        return logits

    def training_step(self, batch: tuple[dict[str, Tensor], Tensor], _index: int) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: tuple[dict[str, Tensor], Tensor], _index: int) -> None:
        """Accuracy over the split."""
        accuracy = (self(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("val_accuracy", accuracy, on_epoch=True, batch_size=len(batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Differential rates."""
        groups = [{"params": list(self.head.parameters()), "lr": 1e-3}]
        if not self._frozen:
            groups.append({"params": list(self.encoder.parameters()), "lr": self._backbone_lr})
        return torch.optim.Adam(groups)


def main() -> None:
    """Entry point."""
    chosen = _arguments()
    pl.seed_everything(chosen.seed, verbose=False)
    train, validation = _read(chosen.train), _read(chosen.validation)
    labels = sorted({label for _, label in train})
    tokenizer = AutoTokenizer.from_pretrained(chosen.model)

    def collate(rows: list[tuple[str, str]]) -> tuple[dict[str, Tensor], Tensor]:
        texts = [text for text, _ in rows]
        inputs = tokenizer(texts, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt")
        return dict(inputs), torch.tensor([labels.index(label) for _, label in rows])

    module = Finetuner(chosen.model, len(labels), chosen.strategy == "freeze", chosen.backbone_lr)
    started = time.perf_counter()
    trainer = pl.Trainer(
        max_epochs=chosen.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches: Any = {"batch_size": 32, "collate_fn": collate}
    trainer.fit(module, DataLoader(_rows(train), shuffle=True, **batches), DataLoader(_rows(validation), **batches))
    accuracy = round(float(trainer.callback_metrics["val_accuracy"]), 4)
    print(json.dumps({"seconds": round(time.perf_counter() - started, 2), "val_accuracy": accuracy}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--strategy", choices=("freeze", "full"), default="freeze")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--backbone-lr", type=float, default=1e-5)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _read(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def _rows(rows: list[tuple[str, str]]) -> Any:
    """A list is a map-style data set to torch; its types say otherwise."""
    return rows


if __name__ == "__main__":
    main()
