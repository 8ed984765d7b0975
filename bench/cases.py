"""What is trained for ``docs/results.md``: data set × backbone × strategy, each with the loop that stands beside it."""

from dataclasses import dataclass
from typing import Final

SEEDS: Final = (0, 1, 2)
LOOPS_OWN: Final = {
    "optimizer": "adam",
    "scheduler": "constant",
    "warmup_fraction": 0.0,
    "weight_decay": 0.0,
    "gradient_clip_val": None,
    "batch_size": 32,
}
"""How the plain loops train; a case beside one trains the same way, the others by the service's defaults."""
TEXTS: Final = {"train": 1_000, "val": 500}
"""Rows of a text set that are used, drawn once: more would take hours without telling more."""
TEXT_RATE: Final = 2e-5
"""The manual gives 1e-5 to 1e-4 for the extractor."""


@dataclass(frozen=True)
class Case:
    """One line of the table. ``peer`` tells whether a plain loop runs the same; then both do so over several seeds."""

    dataset: str
    backbone: str
    strategy: str
    epochs: int
    peer: bool = True
    backbone_lr: float = 1e-5
    pooling: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """A comparison needs several; what stands alone is run once."""
        return SEEDS if self.peer else SEEDS[:1]

    @property
    def is_text(self) -> bool:
        """Whether its data are texts."""
        return self.backbone.startswith("hf/")


_SQUEEZENET: Final = "torchvision/squeezenet1_1"
_MOBILENET: Final = "torchvision/mobilenet_v2"
_EFFICIENTNET: Final = "timm/tf_efficientnet_lite0"
_MINILM: Final = "hf/sentence-transformers/all-MiniLM-L6-v2"

CASES: Final = (
    Case("hymenoptera", _SQUEEZENET, "freeze", 10),
    Case("hymenoptera", _SQUEEZENET, "full", 3),
    Case("hymenoptera", _MOBILENET, "freeze", 10, peer=False),
    Case("hymenoptera", _EFFICIENTNET, "freeze", 10, peer=False),
    Case("cifar10_small", _MOBILENET, "freeze", 10, peer=False),
    Case("fashion_mnist_small", _SQUEEZENET, "freeze", 10, peer=False),
    Case("sms_spam", _MINILM, "freeze", 10, peer=False),
    Case("sst2", _MINILM, "freeze", 10, peer=False),
    Case("trec6", _MINILM, "freeze", 10, peer=False),
    Case("nsmc_small", _MINILM, "freeze", 10, peer=False),
    Case("sst2", _MINILM, "full", 1, backbone_lr=TEXT_RATE, pooling="cls"),
    Case("sst2", _MINILM, "freeze", 3, pooling="cls"),
    Case("nsmc_small", _MINILM, "full", 1, backbone_lr=TEXT_RATE, pooling="cls"),
    Case("sst2", _MINILM, "lora", 1, peer=False),
    Case("trec6", _MINILM, "full", 1, peer=False, backbone_lr=TEXT_RATE),
    Case("hymenoptera", _MOBILENET, "full", 2, peer=False),
    Case("hymenoptera", _MOBILENET, "gradual", 3, peer=False),
    Case("cifar10_small", _SQUEEZENET, "freeze", 1),
)
