"""What was done to an input, and how far it is from the training data, in sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.web.charts.markup import Words, share
from app.web.filters import number
from models_store.abstaining import RARE


@dataclass(frozen=True)
class Remark:
    """A sentence, and whether it is a reason to doubt the answer."""

    text: str
    doubt: bool


def remarks(diagnostics: Mapping[str, Any], t: Words) -> Iterator[Remark]:
    """Reasons to doubt first."""
    found = list(_told(diagnostics, t))
    yield from (remark for remark in found if remark.doubt)
    yield from (remark for remark in found if not remark.doubt)


def _told(diagnostics: Mapping[str, Any], t: Words) -> Iterator[Remark]:
    far = diagnostics.get("out_of_distribution")
    if far is not None:
        doubt = far > 1 - RARE
        yield Remark(t("predict.told.far" if doubt else "predict.told.near", share=share(far, 0)), doubt)
    if diagnostics.get("truncated"):
        yield Remark(t("predict.told.truncated", tokens=number(diagnostics["tokens"])), doubt=True)
    elif "tokens" in diagnostics:
        yield Remark(t("predict.told.tokens", tokens=number(diagnostics["tokens"])), doubt=False)
    if "width" in diagnostics:
        size = f"{diagnostics['width']:,} × {diagnostics['height']:,}"
        kind = "upscaled" if diagnostics.get("upscaled") else "size"
        yield Remark(t(f"predict.told.{kind}", size=size), doubt=kind == "upscaled")
    for what in ("exif_applied", "alpha_dropped"):
        if diagnostics.get(what):
            yield Remark(t(f"predict.told.{what}"), doubt=False)
