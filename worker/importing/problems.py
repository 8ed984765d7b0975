"""What is wrong with an upload: bad items, which are left out, and faults that end the import."""

from typing import Final

from models_store.errors import InvalidError

Problem = dict[str, str]
"""One bad item as the API lists it: ``item``, ``code``, ``message``."""
_ITEM_CHARACTERS: Final = 500


def problem(item: str, code: str, message: str) -> Problem:
    """Make an entry. A NUL in the item's name, which databases refuse, is written as an escape."""
    return {"item": item[:_ITEM_CHARACTERS].replace("\0", "\\0"), "code": code, "message": message}


class BadItemError(Exception):
    """This item alone cannot be used; ``code`` is stable, ``message`` says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ImportFailedError(InvalidError):
    """The upload as a whole cannot be used; ``problems`` lists every bad item that was found until then."""

    def __init__(self, code: str, message: str, problems: list[Problem]) -> None:
        super().__init__(code, message, param="file")
        self.problems = problems


class Problems:
    """Collects bad items, up to a limit.

    Raises:
        InvalidError: (from ``add``) ``too_many_problems``.
    """

    def __init__(self, limit: int) -> None:
        self.found: list[Problem] = []
        self._limit = limit

    def add(self, item: str, code: str, message: str) -> None:
        """List a bad item."""
        if len(self.found) >= self._limit:
            raise InvalidError(
                "too_many_problems",
                f"More than {self._limit:,} items are bad. Mend what the list tells, then upload again.",
            )
        self.found.append(problem(item, code, message))

    def refuse(self, item: str, error: BadItemError) -> None:
        """List an item by the error that it raised."""
        self.add(item, error.code, error.message)
