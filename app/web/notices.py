"""A notice beside a fragment: app.js shows it, and a screen reader reads it."""

import json
from typing import Literal

from starlette.responses import Response


def with_notice(response: Response, message: str, kind: Literal["good", "bad", ""] = "good") -> Response:
    """The answer with what was done in words; headers are ASCII, as JSON can be."""
    response.headers["HX-Trigger"] = json.dumps({"notice": {"message": message, "kind": kind}})
    return response
