"""``finetuned usage``, ``workers``, ``backbones`` and ``audit``."""

from itertools import islice
from typing import Annotated

import typer

from finetuned.commands.remote import Limit, Remote, remote
from finetuned.output import show_fields, show_json


@remote
def usage(at: Remote) -> None:
    """What is stored and running, of every owner that you may see; for admins, bytes on disk by kind."""
    found, disk = list(at.client.usage()), at.client.disk()
    if at.as_json:
        show_json({"owners": [one.raw for one in found], "disk": disk})
        return
    at.list(found, ("owner", "datasets", "checkpoints", "models", "stored_bytes", "active_jobs"))
    if disk is not None:
        typer.echo()
        show_fields({f"disk {kind}": bytes_ for kind, bytes_ in disk.items()})


@remote
def workers(at: Remote) -> None:
    """Workers that were seen in the last half minute."""
    at.list(at.client.workers(), ("id", "lane", "device", "job", "seen_at"))


@remote
def backbones(
    at: Remote,
    search: Annotated[str | None, typer.Argument(help="A part of the name.")] = None,
    family: Annotated[str | None, typer.Option(help="torchvision, timm, hf, plugin, …")] = None,
    available: Annotated[bool | None, typer.Option(help="Only with weights that need no hub, or only others.")] = None,
    limit: Limit = 20,
) -> None:
    """What a job can start from."""
    found = at.client.backbones(family, search, available)
    at.list(islice(found, limit), ("backbone", "task", "weights", "available"))


@remote
def audit(
    at: Remote,
    owner: Annotated[str | None, typer.Option(help="Whose objects.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as key.created.")] = None,
    limit: Limit = 20,
) -> None:
    """Who made, deleted and moved what, newest first (admins)."""
    found = at.client.audit(owner, action)
    at.list(islice(found, limit), ("id", "created_at", "actor", "action", "object", "owner"))
