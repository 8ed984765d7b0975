"""Models with a report, measured as training measures them."""

from typing import Any

import torch

from models_store import registry
from models_store.itemset import Item
from models_store.reporting import stored
from models_store.reporting.report import Scored, figures
from tests.app.published import LABELS, publish
from tests.app.service import Running

_LOGITS = torch.tensor([[4.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 2.0], [0.0, 5.0, 0.0]])
"""Of ants, ants, cats and bees: the second is taken for bees."""
_NUMBERS = torch.tensor([0, 0, 2, 1])


def _figures(split: str, labels: list[str]) -> dict[str, Any]:
    items = [
        Item(str(place), f"{place} 개미.jpg", labels[number], split, "", 0, 0)
        for place, number in enumerate(_NUMBERS.tolist(), start=0)
    ]
    return figures(split, Scored(items, _LOGITS, _NUMBERS), labels, temperature=1.5)


def report(model: str, labels: list[str] = LABELS) -> dict[str, Any]:
    """Of four items of three classes: three are told right."""
    head = {"object": "report", "model": model, "dataset": "ds_1", "labels": labels}
    return {**head, **_figures("validation", labels), "splits": {"test": _figures("test", labels)}}


def publish_reported(service: Running, **more: Any) -> str:
    """A model with that report; gives its id."""
    model_id = publish(service, **more)
    stored.write(registry.directory(service.settings.store_dir, model_id), report(model_id))
    return model_id
