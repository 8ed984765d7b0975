"""``finetuned models``."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import typer

from finetuned.commands.completion import ModelRef
from finetuned.commands.remote import Limit, Remote, remote

app = typer.Typer(no_args_is_help=True, help="Trained models.")
_COLUMNS = ("id", "name", "version", "aliases", "task", "backbone", "metrics", "created_at")


@app.command("list")
@remote
def list_(at: Remote, limit: Limit = 20) -> None:
    """The newest models."""
    at.list(islice(at.client.models(), limit), _COLUMNS)


@app.command("show")
@remote
def show(at: Remote, ref: ModelRef) -> None:
    """One model, by id or name@alias."""
    at.show(at.client.model(ref))


@app.command("download")
@remote
def download(
    at: Remote,
    ref: ModelRef,
    to: Annotated[Path, typer.Option(help="A file, or a folder for a file of the model's name.")] = Path(),
    form: Annotated[
        Literal["zip", "ckpt"], typer.Option("--format", help="zip: for plain libraries; ckpt: for Lightning.")
    ] = "zip",
) -> None:
    """Download a model, by id or name@alias, to run it without this service."""
    path = at.client.download(ref, to, form)
    at.say(str(path), path=str(path))


@app.command("promote")
@remote
def promote(
    at: Remote,
    ref: ModelRef,
    alias: Annotated[str, typer.Argument(help="Up to 64 of a-z, 0-9, - and _.")] = "production",
) -> None:
    """Let name@alias mean this version; promote an earlier one to roll back."""
    model = at.client.promote(ref, alias)
    at.say(f"{model.name}@{alias} is version {model.version} now.", **model.raw)


@app.command("demote")
@remote
def demote(at: Remote, ref: ModelRef, alias: Annotated[str, typer.Argument(help="The alias to take away.")]) -> None:
    """Take an alias from a version; name@alias means nothing then."""
    at.client.remove_alias(ref, alias)
    at.say(f"{ref} is no longer {alias}.", removed=alias)


@app.command("delete")
@remote
def delete(at: Remote, model_id: ModelRef) -> None:
    """Delete a model."""
    at.client.delete_model(model_id)
    at.say(f"Deleted {model_id}.", deleted=model_id)
