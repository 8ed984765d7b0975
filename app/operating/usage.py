"""``/usage``: who has stored how much, and how much there may be."""

import os
from pathlib import Path
from typing import Final, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.deps import CallerDep, Page, PageDep, Services, ServicesDep
from app.errors import responses
from models_store import keys, usage

router = APIRouter(tags=["operating"])
_FOLDERS: Final = ("datasets", "models", "trunks", "checkpoints", "features", "tensorboard", "weights")


class Stored(BaseModel):
    """Objects of one kind."""

    count: int = Field(examples=[2])
    bytes: int = Field(examples=[13400000])


class OwnerUsage(BaseModel):
    """What one owner has, and may have."""

    owner: str = Field(examples=["ann"])
    datasets: Stored
    checkpoints: Stored
    models: Stored = Field(description="With the trunk of a model that was tuned as a whole; others share theirs.")
    stored_bytes: int = Field(description="The sum.")
    max_stored_bytes: int | None = Field(description="Uploads and jobs beyond it are refused; null: no limit.")
    active_jobs: int = Field(description="Queued and running, imports included.")
    max_active_jobs: int

    @classmethod
    def of(cls, found: usage.Usage, services: Services) -> Self:
        """The sums of rows, and the settings that bound them."""
        kinds = {name: vars(getattr(found, name)) for name in ("datasets", "checkpoints", "models")}
        return cls.model_validate(
            {
                "owner": found.owner,
                **kinds,
                "stored_bytes": found.stored_bytes,
                "max_stored_bytes": services.settings.max_stored_bytes or None,
                "active_jobs": found.active_jobs,
                "max_active_jobs": services.settings.max_active_jobs,
            }
        )


class UsagePage(Page[OwnerUsage]):
    """A part of the list of owners."""

    disk: dict[str, int] | None = Field(
        description="For admins: bytes on disk by kind. Equal content lies there once, whoever has it.",
        examples=[{"datasets": 13400000, "models": 52000, "trunks": 45000000, "uploads": 0}],
    )


@router.get("/usage", responses=responses())
def read_usage(query: PageDep, services: ServicesDep, caller: CallerDep) -> UsagePage:
    """What you have stored and what is running; an admin sees every owner, by name: `after` is one."""
    with services.database.read() as session:
        found, more = usage.of(session, owner=caller.sees, limit=query.limit, after=query.after)
    disk = _disk(services) if caller.role == keys.ADMIN else None
    return UsagePage(data=[OwnerUsage.of(one, services) for one in found], has_more=more, disk=disk)


def _disk(services: Services) -> dict[str, int]:
    settings = services.settings
    folders = {name: settings.store_dir / name for name in _FOLDERS}
    folders |= {"uploads": settings.uploads_dir, "scratch": settings.scratch_dir}
    return {name: _size(folder) for name, folder in folders.items()}


def _size(folder: Path) -> int:
    """Bytes of all files below; what goes away meanwhile counts as nothing."""
    total = 0
    for here, _folders, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(here, file)).st_size  # noqa: PTH118 - there may be many
            except FileNotFoundError:
                continue
    return total
