"""Browsers that have signed in."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.app.service import ADMIN_KEY, Running


@contextmanager
def signed_in(service: Running, key: str = ADMIN_KEY) -> Iterator[httpx.Client]:
    """A client that has a session's cookie and its pages' token, as a browser has."""
    with httpx.Client(base_url=service.url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=30) as browser:
        answer = browser.post("/login", data={"key": key})
        assert answer.status_code == 303, answer.text
        browser.headers["X-CSRF-Token"] = token(browser)
        yield browser


def token(browser: httpx.Client) -> str:
    """The token that the pages of this browser's session hold."""
    found = re.search(r'name="csrf-token" content="([0-9a-f]{64})"', browser.get("/").text)
    assert found is not None
    return found[1]


@pytest.fixture
def browser(service: Running) -> Iterator[httpx.Client]:
    """An admin's browser."""
    with signed_in(service) as browser:
        yield browser


@pytest.fixture
def browser_of(service: Running) -> Iterator[Callable[[str], httpx.Client]]:
    """Makes browsers of users who are no admins."""
    with ExitStack() as opened:

        def make(owner: str) -> httpx.Client:
            with service.client() as admin:
                key = admin.post("/keys", json={"owner": owner, "role": "user"}).json()["key"]
            return opened.enter_context(signed_in(service, key))

        yield make
