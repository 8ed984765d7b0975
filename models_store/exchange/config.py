"""``config.json`` of a download: which classes, which backbone, and how to build it."""

from typing import Any

from models_store.exchange.source import Source

_OF_THE_PRETRAINED = ("num_labels", "_num_labels", "id2label", "label2id")
"""What transformers' configuration says of the classes of pretraining."""


def config_json(source: Source) -> dict[str, Any]:
    """Plain JSON. Of a Hugging Face backbone it is that model's configuration with ours added: AutoConfig reads it."""
    card, architecture = source.card, source.architecture
    own: dict[str, Any] = dict(architecture.config)
    if architecture.family == "hf":
        own = {name: value for name, value in own["model"].items() if name not in _OF_THE_PRETRAINED}
    return {
        **own,
        "task": architecture.task,
        "backbone": source.backbone,
        "weights": card.get("weights"),
        "pooling": architecture.config.get("pooling"),
        "id2label": {str(place): label for place, label in enumerate(source.labels)},
        "label2id": {label: place for place, label in enumerate(source.labels)},
        "finetuned": {
            "model": source.row.id,
            "name": source.row.name,
            "version": source.row.version,
            "started_from": source.row.backbone,
            "features": architecture.width,
            "folded_temperature": source.temperature,
        },
    }
