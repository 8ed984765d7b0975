"""How a command ends, for scripts: an exit code by kind, one line on stderr, as JSON where ``--json`` was said."""

import json
from enum import IntEnum
from typing import Any, Final

import typer

from finetuned.client import ApiError, NoModelError
from finetuned.failure import UpError

Json = dict[str, Any]


class ExitCode(IntEnum):
    """What a script can branch on; docs/clients.md has the same table."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    UNAUTHORISED = 5
    UNAVAILABLE = 6
    INTERRUPTED = 130


_BY_STATUS: Final = {
    0: ExitCode.UNAVAILABLE,
    401: ExitCode.UNAUTHORISED,
    403: ExitCode.UNAUTHORISED,
    404: ExitCode.NOT_FOUND,
    408: ExitCode.UNAVAILABLE,
    429: ExitCode.UNAVAILABLE,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNAVAILABLE,
}
_REFUSALS: Final = range(400, 500)


class CommandError(Exception):
    """A command did not do what it was asked for; ``details`` is for programs."""

    def __init__(self, exit_code: ExitCode, error: Json, details: str = "") -> None:
        super().__init__(error["message"])
        self.exit_code = exit_code
        self.error = error
        self.details = details

    def __str__(self) -> str:
        return f"{self.error['message']} ({self.error['code']}) {self.details}".rstrip()


EXPECTED: Final = (ApiError, CommandError, NoModelError, UpError, OSError, ValueError)
"""What a user can mend. TimeoutError is an OSError."""


def code_of(error: Exception) -> ExitCode:
    """The exit code of an error."""
    match error:
        case CommandError():
            return error.exit_code
        case ApiError():
            refused = ExitCode.REFUSED if error.status in _REFUSALS else ExitCode.FAILED
            return _BY_STATUS.get(error.status, refused)
        case FileNotFoundError() | IsADirectoryError() | ValueError():
            return ExitCode.USAGE
        case TimeoutError():
            return ExitCode.UNAVAILABLE
        case _:
            return ExitCode.FAILED


def report(error: Exception, *, as_json: bool) -> ExitCode:
    """Say on stderr what went wrong, and give the exit code."""
    code = code_of(error)
    if as_json:
        typer.echo(json.dumps({"error": _as_json(error), "exit_code": code}, ensure_ascii=False), err=True)
    else:
        hint = " Set FINETUNED_API_KEY, or FINETUNED_DATA_DIR." if getattr(error, "status", None) == 401 else ""
        typer.secho(f"Error: {error}{hint}", err=True, fg=typer.colors.RED)
    return code


def _as_json(error: Exception) -> Json:
    match error:
        case CommandError():
            return error.error
        case ApiError():
            return {name: getattr(error, name) for name in ("code", "message", "status", "errors", "request_id")}
        case TimeoutError():
            return {"code": "timed_out", "message": str(error)}
        case _ if code_of(error) is ExitCode.USAGE:
            return {"code": "usage", "message": str(error)}
        case _:
            return {"code": "command_failed", "message": str(error)}


def usage_error(message: str) -> int:
    """Say as JSON that the command line was wrong."""
    told = {"error": {"code": "usage", "message": message}, "exit_code": ExitCode.USAGE}
    typer.echo(json.dumps(told, ensure_ascii=False), err=True)
    return ExitCode.USAGE
