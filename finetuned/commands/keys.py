"""``finetuned keys``."""

from typing import Annotated, Literal

import typer

from finetuned.commands.completion import KeyId
from finetuned.commands.remote import Remote, remote

app = typer.Typer(no_args_is_help=True, help="API keys (admins).")


@app.command("add")
@remote
def add(
    at: Remote,
    owner: Annotated[str, typer.Argument(help="Whose objects it sees.")],
    role: Annotated[Literal["user", "admin"], typer.Option(help="An admin sees everybody's.")] = "user",
) -> None:
    """Make a key; it is shown this once."""
    at.show(at.client.create_key(owner, role))


@app.command("list")
@remote
def list_(at: Remote) -> None:
    """The keys that are not revoked."""
    at.list(at.client.keys(), ("id", "prefix", "owner", "role", "created_at"))


@app.command("revoke")
@remote
def revoke(at: Remote, key_id: KeyId) -> None:
    """Revoke a key."""
    at.client.revoke_key(key_id)
    at.say(f"Revoked {key_id}.", revoked=key_id)
