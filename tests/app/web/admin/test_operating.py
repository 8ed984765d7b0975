"""Usage, audit log and mirror on pages."""

from collections.abc import Callable

import httpx
import pytest

from tests.app.service import Running, ready_dataset
from tests.app.web.pages import hrefs, notice, words
from tests.e2e.weights import efficientnet_lite0

_LITE = "timm/tf_efficientnet_lite0"


def test_an_admin_sees_everybodys_usage_and_the_disk(service: Running, browser: httpx.Client) -> None:
    with service.user("ann") as ann:
        ready_dataset(service, ann)
    said = words(browser.get("/ui/admin/usage"))
    assert "ann 31 B 0.0% / 1.0 TB 1 31 B 0 0 B 0 0 B 0 / 500" in said
    assert "On disk" in said


def test_a_user_sees_their_own_usage_alone(
    service: Running, browser: httpx.Client, browser_of: Callable[[str], httpx.Client]
) -> None:
    ready_dataset(service, browser)
    said = words(browser_of("ann").get("/ui/admin/usage"))
    assert "ann 0 B 0.0% / 1.0 TB" in said
    assert "31 B" not in said
    assert "On disk" not in said


def test_the_audit_log_tells_who_did_what_and_can_be_filtered(service: Running, browser: httpx.Client) -> None:
    dataset = ready_dataset(service, browser)
    browser.delete(f"/datasets/{dataset}")
    assert f"admin admin Data set deleted {dataset} admin" in words(browser.get("/ui/admin/audit"))
    wanted = browser.get("/ui/admin/audit", params={"owner": "", "action": "dataset.deleted"})
    assert dataset in words(wanted)
    assert "service Key created" not in words(wanted)
    assert dataset not in words(browser.get("/ui/admin/audit", params={"owner": "bob", "action": ""}))


def test_a_long_audit_log_comes_in_parts_and_keeps_its_filter(browser: httpx.Client) -> None:
    for number in range(55):
        browser.post("/keys", json={"owner": f"o{number}"})
    page = browser.get("/ui/admin/audit", params={"owner": "", "action": "key.created"})
    following = next(href for href in hrefs(page) if "after=" in href)
    assert "action=key.created" in following
    rest = browser.get(following, headers={"HX-Request": "true"})
    assert page.text.count("<tr>") + rest.text.count("<tr>") == 1 + 56, "a head, the admin's key, and those 55"


def test_an_unknown_action_is_refused(browser: httpx.Client) -> None:
    assert browser.get("/ui/admin/audit", params={"action": "x"}).status_code == 422


def test_an_empty_mirror_says_what_to_do(browser: httpx.Client) -> None:
    assert "The mirror is empty" in words(browser.get("/ui/admin/weights"))


def test_weights_are_added_as_the_pages_form_does_listed_and_removed(browser: httpx.Client) -> None:
    files = {"file": ("w.pth", efficientnet_lite0().read_bytes())}
    assert browser.post("/weights", data={"backbone": _LITE}, files=files).status_code == 201
    assert f"{_LITE} in1k 18.8 MB" in words(browser.get("/ui/admin/weights"))
    answer = browser.delete("/ui/admin/weights", params={"backbone": _LITE, "weights": "in1k"})
    assert (answer.status_code, answer.text) == (200, "")
    assert notice(answer)["message"] == "The weights were removed."
    assert browser.get("/weights").json()["data"] == []


@pytest.mark.parametrize("page", ["keys", "usage", "audit", "weights"])
def test_every_page_speaks_korean(browser: httpx.Client, page: str) -> None:
    browser.cookies.set("lang", "ko")
    assert '<html lang="ko"' in browser.get(f"/ui/admin/{page}").text
