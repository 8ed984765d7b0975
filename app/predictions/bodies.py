"""What a body is. Large JSON is looked over before it is parsed: a few bytes become an object each, none is wanted."""

import re
from typing import Final

from anyio import to_thread
from starlette.requests import Request

from models_store.errors import TooLargeError

_SMALL: Final = 2**18
"""Bytes: what these may become is little."""
_BESIDE: Final = 1_000
"""Values around the inputs."""
_STRINGS_REST: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)  # possessive: never more than one pass


def media_type(request: Request) -> str:
    """The body's media type without its parameters; empty where the request tells none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def check(body: bytes, max_inputs: int) -> None:
    """Refuse a body that holds far more values than inputs are allowed, in a thread: others are answered meanwhile.

    Raises:
        TooLargeError: ``too_many_inputs``.
    """
    if len(body) > _SMALL:
        await to_thread.run_sync(check_values, body, 2 * max_inputs + _BESIDE)


def check_values(body: bytes, most: int) -> None:
    """Refuse a body that holds more values than that.

    Raises:
        TooLargeError: ``too_many_inputs``.
    """
    if len(body) > _SMALL and values(body, most) > most:
        raise TooLargeError(
            "too_many_inputs", "The JSON holds far more values than inputs are allowed. Send fewer in one request."
        )


def values(body: bytes, most: int) -> int:
    """About how many values a JSON text holds: strings, and commas and brackets outside of them. Stops at ``most``."""
    found = place = 0
    while found <= most:
        quote = body.find(b'"', place)
        end = len(body) if quote < 0 else quote
        found += sum(body.count(sign, place, end) for sign in (b",", b"[", b"{"))
        place = _behind(body, quote + 1) if quote >= 0 else -1
        if place < 0:
            break
        found += 1
    return found


def _behind(body: bytes, start: int) -> int:
    """Where the string that begins here has ended; -1 where it does not."""
    end = body.find(b'"', start)
    if end < 0 or body.find(b"\\", start, end) < 0:  # no escapes: so are images
        return end + 1 if end >= 0 else -1
    rest = _STRINGS_REST.match(body, start)
    return rest.end() if rest else -1
