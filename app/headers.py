"""Headers that keep a browser from doing more with an answer than to show it; see OWASP's REST security cheat sheet."""

from typing import Final

Headers = list[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""

SECURITY: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
]


def secured(headers: Headers) -> Headers:
    """The headers of an answer and those of :data:`SECURITY` that it does not set for itself, as pages and files do."""
    given = {name for name, _ in headers}
    return [*headers, *(header for header in SECURITY if header[0] not in given)]
