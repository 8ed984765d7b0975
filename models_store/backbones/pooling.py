"""From the hidden states of a text's tokens to one vector."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

_SHIPPED = Path("1_Pooling") / "config.json"
_FLAGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_lasttoken": "last"}
_MODES = {"cls": "cls", "mean": "mean", "lasttoken": "last"}


def first_token(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """State of the first real token (the ``[CLS]`` of encoders), whichever side is padded."""
    return hidden[torch.arange(len(hidden)), mask.long().argmax(dim=1)]


def mean_of_tokens(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the real tokens."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def last_token(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """State of the last real token, whichever side is padded."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)
    return hidden[torch.arange(len(hidden)), (mask * positions).argmax(dim=1)]


POOLINGS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cls": first_token,
    "mean": mean_of_tokens,
    "last": last_token,
}


def shipped_pooling(folder: Path) -> str | None:
    """The pooling that a sentence-transformers model brings along, where it is one of ``POOLINGS``."""
    try:
        shipped = json.loads((folder / _SHIPPED).read_bytes())
    except FileNotFoundError:
        return None
    flags = [pooling for flag, pooling in _FLAGS.items() if shipped.get(flag)]
    return flags[0] if flags else _MODES.get(shipped.get("pooling_mode"))
