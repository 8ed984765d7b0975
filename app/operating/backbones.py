"""``/backbones``: what a job can start from."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from app.deps import CallerDep, Page, PageQuery, Services, ServicesDep
from app.errors import responses
from app.operating.schemas import BackboneInfo

router = APIRouter(tags=["operating"])


class BackbonesQuery(PageQuery):
    """Which backbones are wanted."""

    family: str | None = Field(None, max_length=100, examples=["torchvision"])
    search: str | None = Field(None, max_length=200, description="A part of the name.")
    available: bool | None = Field(
        None, description="Only those with weights that can be loaded without a hub, or not."
    )

    def wants(self, info: BackboneInfo) -> bool:
        """Whether the backbone is among the wanted ones."""
        return (
            (self.after is None or info.backbone > self.after)
            and (self.family is None or info.backbone.startswith(f"{self.family}/"))
            and (self.search is None or self.search.lower() in info.backbone.lower())
            and (self.available is None or bool(info.available) is self.available)
        )


@router.get("/backbones", responses=responses())
def list_backbones(
    query: Annotated[BackbonesQuery, Query()], services: ServicesDep, _caller: CallerDep
) -> Page[BackboneInfo]:
    """Pretrained models by name. Any text or image model of Hugging Face's hub may be named as well: `hf/ORG/NAME`.

    Of those the ones that are here are listed.
    """
    found = [info for info in _all(services) if query.wants(info)]
    return Page(data=found[: query.limit], has_more=len(found) > query.limit)


def _all(services: Services) -> list[BackboneInfo]:
    """The families' lists, and what is here beyond them (families such as hf cannot list their names)."""
    from app import pretrained  # noqa: PLC0415 - see there

    mirror = pretrained.Mirror(services.settings.store_dir, services.storage)
    here = pretrained.catalogue.cached() | {(entry.backbone, entry.weights) for entry in mirror.list()}
    available: dict[str, list[str]] = {}
    for backbone, weights in sorted(here):
        available.setdefault(backbone, []).append(weights)
    known = {listed.backbone: listed for listed in pretrained.catalogue.listed()}
    return [
        BackboneInfo(
            backbone=backbone,
            task=pretrained.catalogue.task(backbone, mirror),
            weights=list(known[backbone].weights) if backbone in known else available[backbone],
            available=available.get(backbone, []),
        )
        for backbone in sorted(known.keys() | available.keys())
    ]
