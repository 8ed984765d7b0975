"""Browsers that have signed in."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from pydantic import SecretStr

from app.settings import AppSettings
from tests.app.service import ADMIN_KEY, Running, running
from tests.app.web.content import Content, fill


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


@dataclass(frozen=True)
class Site:
    """A service that many tests look at, and none changes."""

    service: Running
    browser: httpx.Client
    """The admin's."""
    content: Content
    """Ann's."""
    bob: httpx.Client
    """A user who has nothing."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, broker_url: str) -> Iterator[Site]:
    """Two users, of whom one has something of everything."""
    folder = tmp_path_factory.mktemp("site")
    settings = AppSettings(data_dir=folder / "data", redis_url=broker_url, api_key=SecretStr(ADMIN_KEY))
    with running(settings) as service, ExitStack() as opened:
        with service.user("ann") as ann:
            content = fill(service, ann)
        with service.client() as admin:
            bobs = admin.post("/keys", json={"owner": "bob", "role": "user"}).json()["key"]
        browsers = [opened.enter_context(signed_in(service, key)) for key in (ADMIN_KEY, bobs)]
        yield Site(service, browsers[0], content, browsers[1])
