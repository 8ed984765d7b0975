"""The ``finetuned`` command: starts the service or its parts, and talks to a running one."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from finetuned import commands, keyfile, parts, up
from finetuned.failure import UpError
from finetuned.lock import stop_holder
from finetuned.transport import ApiError

_STOP_SECONDS = 90.0

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
cli.add_typer(commands.weights, name="weights")
cli.add_typer(commands.checkpoints, name="checkpoints")
cli.add_typer(commands.datasets, name="datasets")
cli.add_typer(commands.jobs, name="jobs")
cli.add_typer(commands.models, name="models")
cli.command("train")(commands.train)
cli.command("predict")(commands.predict)
cli.command("report")(commands.report)
cli.command("evaluate")(commands.evaluate)

DataDir = Annotated[Path, typer.Option(envvar="FINETUNED_DATA_DIR", help="Folder of everything that must last.")]


@cli.command("up")
def start(
    host: Annotated[str, typer.Option(envvar="FINETUNED_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="FINETUNED_PORT", min=0, max=65535, help="0 takes a free one.")] = 8000,
    data_dir: DataDir = keyfile.DEFAULT_DATA_DIR,
) -> None:
    """Start everything on this machine: API, worker, broker, database. Ctrl-C stops it all."""
    up.run(host, port, data_dir, typer.echo)


@cli.command("down")
def stop(data_dir: DataDir = keyfile.DEFAULT_DATA_DIR) -> None:
    """Stop what `finetuned up` started on this data folder."""
    pid = stop_holder(data_dir.resolve(), _STOP_SECONDS)
    typer.echo(f"Stopped process {pid} and all that it had started.")


@cli.command()
def api() -> None:
    """Run the HTTP service alone (FINETUNED_REDIS_URL, FINETUNED_DATABASE_URL, FINETUNED_HOST, FINETUNED_PORT)."""
    _become(parts.API)


@cli.command()
def worker() -> None:
    """Run a worker alone (FINETUNED_REDIS_URL, FINETUNED_DATABASE_URL)."""
    _become(parts.WORKER)


@cli.command()
def migrate() -> None:
    """Bring the database to the newest revision (FINETUNED_DATABASE_URL)."""
    _become(parts.MIGRATE)


def _become(module: str) -> None:
    command = parts.command(module)
    os.execve(command[0], command, parts.environment())  # noqa: S606 - becoming the part is the purpose


def main() -> None:
    """Run the command line; what a user can mend is one line on stderr and exit code 1."""
    try:
        cli()
    except ApiError as error:
        hint = " Set FINETUNED_API_KEY, or FINETUNED_DATA_DIR." if error.status == 401 else ""
        _fail(f"{error}{hint}")
    except (UpError, OSError) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    typer.secho(f"Error: {message}", err=True, fg=typer.colors.RED)
    sys.exit(1)


if __name__ == "__main__":
    main()
