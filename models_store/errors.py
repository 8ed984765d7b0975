"""Errors of the domain: a kind, a stable code, a sentence that says what to do. HTTP numbers live in ``app``."""

from enum import StrEnum


class Kind(StrEnum):
    """What sort of refusal this is; the HTTP layer maps each to a status."""

    INVALID = "invalid"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


class FinetunedError(Exception):
    """Base of every error that a user may see.

    Args:
        code: stable, documented, snake_case.
        message: one or two sentences, the last of which says what to do.
        param: the field of the request that is to blame, where there is one.
    """

    kind: Kind = Kind.INVALID

    def __init__(self, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param

    def as_json(self) -> dict[str, str | None]:
        """The form in which jobs, data sets and predictions carry an error."""
        return {"code": self.code, "message": self.message, "param": self.param}


class InvalidError(FinetunedError):
    """The request cannot be fulfilled as it stands."""


class UnauthorizedError(FinetunedError):
    """No key, or one that is not known."""

    kind = Kind.UNAUTHORIZED


class ForbiddenError(FinetunedError):
    """The key is known and may not do this."""

    kind = Kind.FORBIDDEN


class NotFoundError(FinetunedError):
    """No such object, or not one of this owner."""

    kind = Kind.NOT_FOUND


class ConflictError(FinetunedError):
    """The object's state does not allow this now."""

    kind = Kind.CONFLICT


class TooLargeError(FinetunedError):
    """A limit on size or number was passed."""

    kind = Kind.TOO_LARGE


class TooManyError(FinetunedError):
    """A quota of this owner is used up for now.

    Args:
        retry_after: seconds until another try may succeed.
    """

    kind = Kind.TOO_MANY

    def __init__(self, code: str, message: str, *, param: str | None = None, retry_after: int = 10) -> None:
        super().__init__(code, message, param=param)
        self.retry_after = retry_after


class UnavailableError(FinetunedError):
    """Cannot be done now; may work later, or after an operator's action."""

    kind = Kind.UNAVAILABLE


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer or stays locked; nothing is known about what was being written."""

    def __init__(self) -> None:
        message = "The database does not answer or stays locked. Try again in a few seconds."
        super().__init__("database_unavailable", message)


class StorageUnavailableError(UnavailableError):
    """The artifact store does not answer, or refuses; what was being done can be done again."""

    def __init__(self) -> None:
        message = "The artifact store does not answer. Try again in a few seconds; the service's log has the reason."
        super().__init__("storage_unavailable", message)


class LeaseLostError(Exception):
    """A fenced write found that another attempt owns the job: stop, and write nothing more."""
