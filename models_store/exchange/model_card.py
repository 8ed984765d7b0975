"""``README.md`` of a download: what the model is, how good, on what it was trained, and how to run it without us."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from models_store.backbones.family import TEXTS
from models_store.exchange.libraries import library
from models_store.exchange.licences import licence_note
from models_store.exchange.markdown import code_block, number, plain, table
from models_store.exchange.scripts import lightning_module, ten_lines
from models_store.exchange.source import Source

MOST_ROWS: Final = 200
"""Of a table of classes; ``config.json`` and ``report.json`` hold all of them."""


def model_card(source: Source) -> str:
    """The card, in Markdown."""
    sections = (_about, _usage, _checkpoint, _data, _quality, _training, _proofs, _limits, _licence, _files)
    return "\n\n".join("\n\n".join(section(source)) for section in sections) + "\n"


def _about(source: Source) -> Iterator[str]:
    row, kind = source.row, "texts" if source.architecture.task == TEXTS else "images"
    made = datetime.fromtimestamp(row.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    started = "" if row.backbone == source.backbone else f" (the job went on from `{row.backbone}`)"
    weights = source.card.get("weights")
    yield f"# {plain(row.name)}, version {row.version}"
    yield (
        f"Classifies {kind} into {len(source.labels)} classes. "
        f"Trained from `{source.backbone}`{started}, weights {f'`{weights}`' if weights else 'random'}, "
        f"with the strategy `{source.card.get('strategy', 'unknown')}`; published {made} as `{row.id}` by finetuned."
    )


def _usage(source: Source) -> Iterator[str]:
    items = "TEXT…" if source.architecture.task == TEXTS else "FILE…"
    yield "## Run it"
    yield (
        f"Needs `torch`, `safetensors` and {library(source).package}; nothing of the service that trained it. In this "
        f"folder, saved as `run.py`, `python run.py {items}` prints the probability of every class, as the service "
        "gives it within 1e-4:"
    )
    yield code_block(ten_lines(source))
    if source.architecture.family == "hf":
        yield (
            "`key_mapping` is needed: the tensors are named `backbone.…`, and without it transformers only warns, and "
            "goes on with random weights. Its report of `head.weight` and `head.bias` as unexpected, and of a missing "
            "pooler, is in order."
        )
    yield (
        "`head.weight` and `head.bias` are divided by the calibration temperature "
        f"({number(source.temperature)}), so a plain softmax gives calibrated probabilities."
    )
    yield _BEYOND[source.architecture.task == TEXTS]


_BEYOND: Final = {
    True: "Beyond these lines the service refuses texts without content and bytes that are not UTF-8, and tells "
    "whether a text was cut.",
    False: "As the service does, the lines turn a photo as its EXIF says and lay transparency on white. Beyond that it "
    "scales 16-bit greys to 8 bits, and refuses damaged files and more than 50 million pixels.",
}


def _checkpoint(source: Source) -> Iterator[str]:
    yield "## As a module of Lightning"
    yield (
        f"`GET /models/{source.row.id}/download?format=ckpt` gives the same tensors as a checkpoint, tensors and plain "
        "values alone. Saved as `model.ckpt`:"
    )
    yield code_block(lightning_module(source))
    yield f"It gives logits of `batch`, which is `{library(source).batch}`{_ONE[source.architecture.task == TEXTS]}."


_ONE: Final = {True: " of one text, without padding", False: " of one image, or several of them stacked"}


def _data(source: Source) -> Iterator[str]:
    card, dataset = source.card, source.dataset
    yield "## What it was trained on"
    name = plain(dataset.name) if dataset else "deleted since"
    splits = ", ".join(f"{count} {split}" for split, count in (dataset.splits if dataset else {}).items())
    yield f"Data set {name} (`{source.row.dataset_id}`){f': {splits}' if splits else ''}."
    yield f"Fingerprint: `{card.get('dataset_fingerprint') or 'unknown'}`."
    counts = {entry["label"]: entry["count"] for entry in dataset.classes} if dataset else {}
    rows = [(place, label, counts.get(label, "")) for place, label in enumerate(source.labels)]
    yield _capped(("number", "class", "items"), rows)


def _quality(source: Source) -> Iterator[str]:
    yield "## How good it is"
    metrics = source.card.get("metrics") or {}
    yield table(("metric", "value"), [(name, number(value)) for name, value in metrics.items()])
    if source.report is None:
        yield "There is no report beside this model: it was trained by a version that made none."
        return
    yield from _figures(source.report)
    for figures in (source.report.get("splits") or {}).values():
        yield from _figures(figures)


def _figures(report: Mapping[str, Any]) -> Iterator[str]:
    columns = ("precision", "recall", "f1")
    rows = [
        (entry["label"], *(number(entry[column]) for column in columns), entry["support"])
        for entry in report["classes"]
    ]
    yield f"### Split `{report['split']}`: {report['items']} items, accuracy {number(report['accuracy'])}"
    yield _capped(("class", *columns, "support"), rows)
    calibration = report["calibration"]
    yield (
        f"Expected calibration error {number(calibration['ece_after'])} with the temperature "
        f"{number(calibration['temperature'])}, {number(calibration['ece_before'])} without. "
        "The confusions and the most confident mistakes are in `report.json`."
    )


def _training(source: Source) -> Iterator[str]:
    card = source.card
    yield "## How it was trained"
    yield f"Job `{source.row.job_id}`, best epoch {card.get('best_epoch', 'unknown')}, with:"
    yield code_block(json.dumps(card.get("training") or {}, indent=2, ensure_ascii=False), "json")
    versions = card.get("versions") or {}
    yield table(("library", "version"), list(versions.items()))


def _proofs(source: Source) -> Iterator[str]:
    parity, proof = source.card.get("parity") or {}, source.card.get("freeze_proof") or {}
    yield "## What was checked"
    if not parity and not proof:
        yield "No proofs came with this model."
    if parity:
        yield (
            f"- Parity: the stored model in the engine `{parity.get('engine', 'unknown')}` "
            f"({parity.get('precision', 'unknown')}) gave the trained model's logits within "
            f"{parity.get('max_abs_logit_diff', 'unknown')}; passed: {'yes' if parity.get('passed') else 'no'}."
        )
    if proof:
        moved = "bit-identical to" if proof.get("unchanged") else "tuned, and so no longer"
        yield f"- Backbone: SHA-256 `{proof.get('backbone_sha256', 'unknown')}`, {moved} what training began with."


def _limits(source: Source) -> Iterator[str]:
    preprocessing = source.card["preprocessing"]
    yield "## Limits"
    yield (
        "It chooses among the classes above, also for an item of none of them. Its probabilities are calibrated on "
        "data like the validation split; on other data they, and the figures above, need not hold."
    )
    if source.architecture.task == TEXTS:
        yield f"It reads the first {preprocessing['max_length']} tokens of a text, special ones included."
    else:
        height, width = preprocessing["crop"]
        yield f"It sees {height} × {width} pixels of an image, resized and cropped as `preprocessing.json` says."


def _licence(source: Source) -> Iterator[str]:
    yield "## Licence"
    yield licence_note(source.architecture, source.card.get("weights"), source.row.backbone)


def _files(source: Source) -> Iterator[str]:
    described = [
        ("model.safetensors", "`backbone.*` as the library's own module names them, `head.weight`, `head.bias`"),
        ("config.json", "classes, backbone, pooling; of a transformers model its whole configuration"),
        ("preprocessing.json", "how an item becomes the backbone's input"),
        ("report.json", "per-class figures, confusions, calibration, mistakes; not with every model"),
    ]
    yield "## Files"
    yield "\n".join(f"- `{name}`: {what}" for name, what in described)
    if source.architecture.family == "hf":
        yield "The other files are the tokenizer's or image processor's own."


def _capped(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    shown = table(columns, rows[:MOST_ROWS])
    return shown if len(rows) <= MOST_ROWS else f"{shown}\n\n… and {len(rows) - MOST_ROWS} more."
