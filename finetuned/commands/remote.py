"""What every command that talks to a service has in common: where it is, with which key, and ``--json``."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

import typer

from finetuned.client import Client
from finetuned.client.record import Record
from finetuned.output import show_fields, show_json, show_table

_OPTIONS: Final = {
    "url": Annotated[
        str | None, typer.Option(envvar="FINETUNED_URL", help="The service's address; this machine's port 8000.")
    ],
    "key": Annotated[
        str | None,
        typer.Option(
            envvar="FINETUNED_API_KEY", show_envvar=True, help="API key; the one that `finetuned up` left here."
        ),
    ],
    "as_json": Annotated[bool, typer.Option("--json", help="JSON on stdout, errors as JSON on stderr.")],
}
_DEFAULTS: Final = {"url": None, "key": None, "as_json": False}
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


class Remote:
    """A service, and how its answers are shown."""

    def __init__(self, client: Client, *, as_json: bool) -> None:
        self.client = client
        self.as_json = as_json

    def show(self, found: Record, shown: Iterable[str] | None = None) -> None:
        """One object: all that has a value, or these fields."""
        if self.as_json:
            show_json(found.raw)
        else:
            show_fields(found.raw if shown is None else {name: found.get(name) for name in shown})

    def list(self, found: Iterable[Record], columns: tuple[str, ...]) -> None:
        """Several objects: with ``--json`` whole, else these columns."""
        if self.as_json:
            show_json([one.raw for one in found])
        else:
            show_table(columns, ([one.get(column) for column in columns] for one in found))

    def say(self, message: str, **facts: object) -> None:
        """That something was done."""
        if self.as_json:
            show_json(facts)
        else:
            typer.echo(message)


def remote(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its service as the first argument, and the options that say which."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def run(*, url: str | None, key: str | None, as_json: bool, **arguments: Any) -> None:
        with Client(url, key) as client:
            command(Remote(client, as_json=as_json), **arguments)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    parameters = [*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *added]
    del run.__dict__["__wrapped__"]
    run.__dict__["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
