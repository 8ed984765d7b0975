"""Keys on a page: made once, shown once."""

import re
from collections.abc import Callable

import httpx
import pytest

from tests.app.service import Running
from tests.app.web.pages import notice, words


def _create(browser: httpx.Client, owner: str, role: str = "user") -> httpx.Response:
    return browser.post("/ui/admin/keys", data={"owner": owner, "role": role}, headers={"HX-Request": "true"})


def _key(answer: httpx.Response) -> str:
    found = re.search(r"<code>(ft_[\w-]{40,})</code>", answer.text)
    assert found is not None, answer.text
    return found[1]


def test_a_new_key_is_shown_once_and_works(service: Running, browser: httpx.Client) -> None:
    answer = _create(browser, "ann")
    key = _key(answer)
    assert answer.headers["cache-control"] == "no-store"
    with service.client(key) as ann:
        assert ann.get("/usage").json()["data"][0]["owner"] == "ann"
    page = browser.get("/ui/admin/keys")
    assert key not in page.text
    assert "ann user" in words(page)


def test_a_revoked_key_works_no_more(service: Running, browser: httpx.Client) -> None:
    key = _key(_create(browser, "ann"))
    (known,) = [one for one in browser.get("/keys").json()["data"] if one["owner"] == "ann"]
    answer = browser.delete(f"/ui/admin/keys/{known['id']}")
    assert (answer.status_code, answer.text) == (200, ""), "the row goes"
    assert notice(answer)["message"] == "The key was revoked."
    with service.client(key) as ann:
        assert ann.get("/jobs").status_code == 401


@pytest.mark.parametrize(("owner", "role"), [(" ", "user"), ("ann", "king"), ("a" * 201, "user")])
def test_what_is_no_owner_or_role_is_refused(browser: httpx.Client, owner: str, role: str) -> None:
    answer = _create(browser, owner, role)
    assert (answer.status_code, notice(answer)["code"]) == (422, "validation_error")
    assert len(browser.get("/keys").json()["data"]) == 1


def test_owners_are_text(browser: httpx.Client) -> None:
    _create(browser, "<b>ann")
    assert "<b>ann" not in browser.get("/ui/admin/keys").text


@pytest.mark.parametrize("page", ["keys", "audit", "weights"])
def test_users_who_are_no_admins_are_refused(browser_of: Callable[[str], httpx.Client], page: str) -> None:
    ann = browser_of("ann")
    assert "You may not do this" in words(ann.get(f"/ui/admin/{page}"), 403)
    assert _create(ann, "ann", "admin").status_code == 403
    assert f'href="/ui/admin/{page}"' not in ann.get("/ui/models").text


def test_many_keys_come_in_parts(browser: httpx.Client) -> None:
    for number in range(52):
        browser.post("/keys", json={"owner": f"owner-{number}"})
    page = browser.get("/ui/admin/keys")
    (following,) = re.findall(r'hx-get="([^"]+)"', page.text)
    rest = browser.get(following, headers={"HX-Request": "true"})
    seen = re.findall(r'<td class="name">([^<]+)</td>', page.text + rest.text)
    assert sorted(seen) == sorted(["admin", *(f"owner-{number}" for number in range(52))])
