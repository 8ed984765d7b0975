"""What a service's refusal becomes."""

from typing import Any

import httpx

Json = dict[str, Any]


class ApiError(Exception):
    """The service refused, or could not be reached (``status`` 0, ``code`` ``unreachable``).

    ``code`` is stable and documented; ``errors`` holds one entry a field where the request was malformed.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        errors: list[Json] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors or []
        self.request_id = request_id

    def __str__(self) -> str:
        fields = [
            f"{'.'.join(str(part) for part in error.get('loc', []))}: {error.get('msg')}" for error in self.errors
        ]
        return "; ".join([f"{self.message} ({self.code})", *fields])

    def __reduce__(self) -> tuple[type["ApiError"], tuple[object, ...]]:
        """Errors cross process pools."""
        return ApiError, (self.status, self.code, self.message, self.errors, self.request_id)


def refusal(response: httpx.Response) -> ApiError:
    """The problem that an answer describes, also where something between us and the service gave it."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(
        status=response.status_code,
        code=problem.get("code") or f"http_{response.status_code}",
        message=problem.get("detail") or problem.get("title") or f"The service answered {response.status_code}.",
        errors=problem.get("errors"),
        request_id=problem.get("request_id") or response.headers.get("X-Request-ID"),
    )


def unreachable(url: str, error: httpx.TransportError) -> ApiError:
    """Nobody answered, or not to the end."""
    reason = str(error) or type(error).__name__
    message = f"No answer from {url}: {reason}. Start it with `finetuned up`, or set FINETUNED_URL."
    return ApiError(0, "unreachable", message)


def not_json(response: httpx.Response, url: str) -> ApiError:
    """Some other program listens there."""
    return ApiError(response.status_code, "not_json", f"{url} is no finetuned service. Check the URL.")
