"""Texts in the reader's language."""

from typing import Final

from starlette.requests import Request

from app.web import cookies
from app.web.messages import ERRORS, TABLES

LANGUAGES: Final = tuple(TABLES)
DEFAULT: Final = "en"
COOKIE: Final = "lang"
_FOR_SCRIPTS: Final = "js."
_MET_BY_SCRIPTS: Final = (
    "body_too_large",
    "csrf_token_invalid",
    "internal_error",
    "no_space",
    "storage_quota",
    "too_many_jobs",
    "too_many_requests",
    "unsupported_file",
    "validation_error",
)
"""Refusals of what scripts send."""


class Texts:
    """Gives a message of the tables: ``t("jobs.text")``, ``t("jobs.epoch", epoch=3)``."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._table, self._errors = TABLES[language], ERRORS[language]

    def __call__(self, key: str, **values: object) -> str:
        """The message with its placeholders filled in.

        Raises:
            KeyError: there is no such message.
        """
        return self._table[key].format(**values)

    def error(self, code: str, message: str) -> str:
        """A refusal's words: those of the tables where they know the code, else the service's own."""
        return self._table.get(f"error.{code}") or self._errors.get(code, message)

    def details(self, code: str, message: str) -> str:
        """The service's own words where :meth:`error` gives others; they name what is concerned."""
        return message if code in self._errors else ""

    def has(self, key: str) -> bool:
        """Whether there is such a message."""
        return key in self._table

    def for_scripts(self) -> dict[str, str]:
        """What scripts say, by key without its prefix."""
        said = {
            key.removeprefix(_FOR_SCRIPTS): text for key, text in self._table.items() if key.startswith(_FOR_SCRIPTS)
        }
        return said | {f"error.{code}": self._errors[code] for code in _MET_BY_SCRIPTS if code in self._errors}


def of(request: Request) -> Texts:
    """By the reader's choice, else by what the browser prefers."""
    chosen = cookies.cookie(request.headers, COOKIE)
    return Texts(chosen if chosen in LANGUAGES else _preferred(request.headers.get("accept-language", "")))


def _preferred(header: str) -> str:
    """The language that we have of those that ``Accept-Language`` names, by its weights (RFC 9110, 12.5.4)."""
    found: list[tuple[float, str]] = []
    for part in header[:1000].split(","):
        name, _, weight = part.strip().partition(";q=")
        language = name.split("-")[0].lower()
        if language in LANGUAGES:
            found.append((_number(weight), language))
    return max(found, key=lambda one: one[0])[1] if found else DEFAULT


def _number(weight: str) -> float:
    try:
        return float(weight or 1)
    except ValueError:
        return 0.0
