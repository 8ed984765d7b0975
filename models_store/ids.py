"""Opaque identifiers that sort by time, so that newest-first paging is an index scan."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26


def new(prefix: str) -> str:
    """Make an id such as ``job_01kaq…``: 48 bits of milliseconds and 80 random bits, base 32 (as ULID)."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    digits = [_ALPHABET[(value >> (5 * place)) & 31] for place in reversed(range(_LENGTH))]
    return f"{prefix}_{''.join(digits)}"
