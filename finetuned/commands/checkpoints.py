"""``finetuned checkpoints``."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from finetuned.commands.completion import CheckpointId
from finetuned.commands.remote import Limit, Remote, remote
from finetuned.output import upload_progress

app = typer.Typer(no_args_is_help=True, help="Uploaded checkpoints: `train --backbone checkpoint/ID`.")


@app.command("add")
@remote
def add(
    at: Remote,
    file: Annotated[Path, typer.Argument(help="A Lightning .ckpt, or a .pt, .pth or .safetensors of a state_dict.")],
    architecture: Annotated[str, typer.Option(help="The backbone that a part of it fits, or plugin/NAME.")],
    name: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Upload a checkpoint, to take a part of it as a backbone."""
    with upload_progress(file) as on_progress:
        found = at.client.upload_checkpoint(file, architecture, name, on_progress)
    at.show(found)


@app.command("list")
@remote
def list_(at: Remote, limit: Limit = 20) -> None:
    """The newest checkpoints."""
    columns = ("id", "name", "architecture", "submodules", "bytes", "created_at")
    at.list(islice(at.client.checkpoints(), limit), columns)


@app.command("show")
@remote
def show(at: Remote, checkpoint_id: CheckpointId) -> None:
    """One checkpoint: its parts, and those that its architecture fits."""
    at.show(at.client.checkpoint(checkpoint_id))


@app.command("delete")
@remote
def delete(at: Remote, checkpoint_id: CheckpointId) -> None:
    """Delete a checkpoint."""
    at.client.delete_checkpoint(checkpoint_id)
    at.say(f"Deleted {checkpoint_id}.", deleted=checkpoint_id)
