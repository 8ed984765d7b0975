"""What a page says, without its marks."""

import html
import json
import re
from typing import Any

import httpx


def words(answer: httpx.Response, status: int = 200) -> str:
    """The text of a page or of a part of one, with single spaces."""
    assert answer.status_code == status, answer.text
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", answer.text, flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def hrefs(answer: httpx.Response) -> list[str]:
    """Where its links go, in order."""
    return [html.unescape(found) for found in re.findall(r'href="([^"]*)"', answer.text)]


def notice(answer: httpx.Response) -> dict[str, Any]:
    """What is said beside a part of a page."""
    told: dict[str, Any] = json.loads(answer.headers["hx-trigger"])["notice"]
    return told
