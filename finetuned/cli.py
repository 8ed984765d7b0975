"""The ``finetuned`` command: starts the service or its parts, and talks to a running one."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from finetuned import keyfile, parts, up
from finetuned.commands import (
    checkpoints,
    datasets,
    exits,
    jobs,
    keys,
    models,
    operating,
    predicting,
    reporting,
    training,
    weights,
)
from finetuned.lock import stop_holder

_STOP_SECONDS = 90.0
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for every wrong command line; it exports the subclass alone."""

cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
cli.command("train")(training.train)
cli.command("predict")(predicting.predict)
cli.command("report")(reporting.report)
cli.command("evaluate")(training.evaluate)
cli.add_typer(datasets.app, name="datasets")
cli.add_typer(jobs.app, name="jobs")
cli.add_typer(models.app, name="models")
cli.add_typer(checkpoints.app, name="checkpoints")
cli.add_typer(weights.app, name="weights")
cli.add_typer(keys.app, name="keys")
cli.command("backbones")(operating.backbones)
cli.command("workers")(operating.workers)
cli.command("usage")(operating.usage)
cli.command("audit")(operating.audit)

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
    """Run the command line. What a user can mend is one line on stderr, and an exit code of its kind."""
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        return int(cli(arguments, prog_name="finetuned", standalone_mode=not as_json) or 0)
    except _UsageError as error:
        return exits.usage_error(str(error))
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.ExitCode.OK
    except exits.EXPECTED as error:
        return exits.report(error, as_json=as_json)


if __name__ == "__main__":
    main()
