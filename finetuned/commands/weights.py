"""``finetuned weights``."""

from pathlib import Path
from typing import Annotated

import typer

from finetuned.commands.completion import BackboneName
from finetuned.commands.remote import Remote, remote
from finetuned.output import upload_progress

app = typer.Typer(no_args_is_help=True, help="The local mirror of pretrained weights (admins).")
_Weights = Annotated[str, typer.Option(help="The weights name of that backbone.")]


@app.command("add")
@remote
def add(
    at: Remote,
    backbone: BackboneName,
    file: Annotated[Path, typer.Option(help="A weights file, or the folder of one model.")],
    weights: _Weights = "DEFAULT",
) -> None:
    """Put weights into the mirror, so that no hub is needed for them."""
    with upload_progress(file) as on_progress:
        found = at.client.add_weights(backbone, file, weights, on_progress)
    at.show(found)


@app.command("list")
@remote
def list_(at: Remote) -> None:
    """List the mirror."""
    at.list(at.client.weights(), ("backbone", "weights", "bytes", "sha256"))


@app.command("remove")
@remote
def remove(at: Remote, backbone: BackboneName, weights: _Weights = "DEFAULT") -> None:
    """Take weights out of the mirror."""
    at.client.remove_weights(backbone, weights)
    at.say(f"Removed {backbone} {weights}.", removed=f"{backbone}:{weights}")
