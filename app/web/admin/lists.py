"""What the lists of administration have in common."""

from typing import Final

from pydantic import Field
from starlette.requests import Request

from app.deps import Closed

PART: Final = 50
"""Rows that come at once."""


class After(Closed):
    """Where a list goes on."""

    after: str | None = Field(None, max_length=500)

    def is_more(self, request: Request) -> bool:
        """Whether the page is there already, and only more rows are asked for."""
        return self.after is not None and "hx-request" in request.headers
