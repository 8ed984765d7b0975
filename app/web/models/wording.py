"""What a model's card says, in sentences: message keys and the values that they name."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.web.charts.markup import Words
from app.web.filters import number

Json = Mapping[str, Any]


def parity(found: Json | None, t: Words) -> list[str]:
    """Whether what is served is what was trained, and how that was checked."""
    if not found or "max_abs_logit_diff" not in found:
        return [t("models.parity.none")]
    engine = t(f"models.engine.{found['engine']}") if found["engine"] in {"torch", "openvino"} else found["engine"]
    difference = f"{found['max_abs_logit_diff']:.1e}"
    sentences = [t("models.parity.checked", items=number(found.get("items")), engine=engine, difference=difference)]
    if found.get("reused"):
        sentences.append(t("models.parity.reused"))
    if "bf16" in found:
        bf16 = found["bf16"]
        kind = "passed" if bf16["passed"] else "failed"
        moved = f"{bf16['max_probability_change']:.4f}"
        sentences.append(
            t(f"models.parity.bf16_{kind}", items=bf16["items"], labels=bf16["labels_changed"], moved=moved)
        )
    return sentences


def freeze_proof(found: Json | None, t: Words) -> str:
    """Whether the backbone is still the one that was loaded."""
    if not found:
        return t("models.proof.none")
    return t("models.proof.unchanged" if found.get("unchanged") else "models.proof.changed")


def calibration(figures: Json, t: Words) -> str:
    """What the temperature did."""
    found = figures["calibration"]
    if found["temperature"] == 1:
        return t("models.calibration.unchanged")
    return t(f"models.calibration.{found['method']}", temperature=f"{found['temperature']:.2f}")


def preprocessing(card: Json, t: Words) -> Iterator[str]:
    """What is done to an input before the model sees it."""
    if card.get("kind") == "text":
        yield t("models.preprocessing.tokens", tokens=number(card["max_length"]))
        yield t(f"models.preprocessing.cut_{card['truncation_side']}")
    elif card.get("kind") == "image":
        yield from _image(card, t)


def _image(card: Json, t: Words) -> Iterator[str]:
    height, width = card["crop"]
    size = f"{width} × {height}"
    resize = card["resize"]
    if resize is not None:
        to = f"{resize[1]} × {resize[0]}" if isinstance(resize, list) else number(resize)
        yield t(f"models.preprocessing.{card['crop_mode']}", to=to, interpolation=card["interpolation"])
    yield t("models.preprocessing.crop", size=size)
    yield t("models.preprocessing.normalise", mean=_listed(card["mean"]), std=_listed(card["std"]))


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
