import http.cookies
from collections.abc import Callable

import httpx
import pytest

from app.settings import AppSettings
from models_store import sessions
from models_store.errors import UnauthorizedError
from tests.app.service import ADMIN_KEY, Running, assert_problem, running, upload_texts
from tests.app.web.conftest import Site, signed_in, token


@pytest.fixture
def service(site: Site) -> Running:
    """One for all of these tests."""
    return site.service


def _cookie(answer: httpx.Response) -> http.cookies.Morsel[str]:
    return http.cookies.SimpleCookie(answer.headers["set-cookie"])["finetuned_session"]


def test_the_key_is_in_no_cookie_and_on_no_page(service: Running) -> None:
    with httpx.Client(base_url=service.url, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
        answer = browser.post("/login", data={"key": ADMIN_KEY})
        page = browser.get("/")
    assert ADMIN_KEY not in answer.headers["set-cookie"] + answer.text + page.text
    assert _cookie(answer).value not in page.text


def test_no_script_reads_the_cookie_and_no_other_site_makes_a_browser_send_it(service: Running) -> None:
    with httpx.Client(base_url=service.url, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
        plain = _cookie(browser.post("/login", data={"key": ADMIN_KEY}))
        behind_tls = browser.post("/login", data={"key": ADMIN_KEY}, headers={"X-Forwarded-Proto": "https"})
    assert (plain["httponly"], plain["samesite"].lower(), plain["secure"]) == (True, "strict", "")
    assert _cookie(behind_tls)["secure"] is True


@pytest.mark.parametrize("path", ["/", "/ui/datasets", "/ui/nothing?a=b"])
def test_who_is_not_signed_in_is_led_to_the_form_and_back(service: Running, path: str) -> None:
    with httpx.Client(base_url=service.url) as stranger:
        answer = stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    with httpx.Client(base_url=service.url, headers={"Sec-Fetch-Site": "same-origin"}) as stranger:
        wanted = httpx.URL(answer.headers["location"]).params.get("next", "/")
        there = stranger.post("/login", data={"key": ADMIN_KEY, "next": wanted})
    assert there.headers["location"] == path


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example/", "/\\evil.example", "/ui/../../x y", "/jobs"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(service: Running, next: str) -> None:  # noqa: A002
    with httpx.Client(base_url=service.url, headers={"Sec-Fetch-Site": "same-origin"}) as stranger:
        answer = stranger.post("/login", data={"key": ADMIN_KEY, "next": next})
    assert answer.headers["location"] == "/"


def test_a_wrong_key_is_told_in_words_and_not_given_back(service: Running) -> None:
    with httpx.Client(base_url=service.url, headers={"Sec-Fetch-Site": "same-origin"}) as stranger:
        answer = stranger.post("/login", data={"key": "ft_wrong"})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "ft_wrong" not in answer.text
    assert "set-cookie" not in answer.headers


def test_wrong_keys_are_limited_as_they_are_in_the_api(settings: AppSettings) -> None:
    ours = {"Sec-Fetch-Site": "same-origin"}
    with running(settings.model_copy(update={"max_wrong_keys_per_minute": 3})) as service:
        answers = [httpx.post(f"{service.url}/login", data={"key": f"ft_{n}"}, headers=ours) for n in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]


def test_signing_out_ends_the_session_for_whoever_kept_the_cookie(service: Running, browser: httpx.Client) -> None:
    kept = browser.cookies["finetuned_session"]
    assert browser.post("/logout").status_code == 204
    with httpx.Client(base_url=service.url, cookies={"finetuned_session": kept}) as thief:
        assert_problem(thief.get("/jobs"), 401, "session_ended")


def test_a_revoked_key_ends_its_sessions_at_once(service: Running) -> None:
    with service.client() as admin:
        made = admin.post("/keys", json={"owner": "ann", "role": "user"}).json()
        with signed_in(service, made["key"]) as browser:
            assert browser.get("/jobs").status_code == 200
            admin.delete(f"/keys/{made['id']}")
            assert_problem(browser.get("/jobs"), 401, "session_ended")
            assert browser.get("/").status_code == 303


def test_a_sessions_cookie_is_no_key(service: Running, browser: httpx.Client) -> None:
    assert browser.get("/jobs").status_code == 200  # the session is known by now
    with service.client(browser.cookies["finetuned_session"]) as client:
        assert_problem(client.get("/jobs"), 401, "invalid_key")
    with pytest.raises(UnauthorizedError):
        sessions.authenticate(service.database, ADMIN_KEY)


def test_a_browser_may_do_what_its_key_may(browser: httpx.Client) -> None:
    dataset = upload_texts(browser)
    assert browser.get(f"/datasets/{dataset}").json()["name"] == "films"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "", "Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/login"])
def test_another_sites_request_changes_nothing(browser: httpx.Client, path: str, headers: dict[str, str]) -> None:
    given = {name: value for name, value in headers.items() if value}
    if "Sec-Fetch-Site" not in given:
        del browser.headers["Sec-Fetch-Site"]
    answer = browser.post(path, json={}, headers=given)
    assert answer.status_code == 403
    assert "cross_site_request" in answer.text


@pytest.mark.parametrize("given", ["", "0" * 64, "é"])
def test_without_its_pages_token_a_session_changes_nothing(service: Running, browser: httpx.Client, given: str) -> None:
    headers = {b"X-CSRF-Token": given.encode("latin-1")}
    assert_problem(browser.post("/jobs", json={}, headers=headers), 403, "csrf_token_invalid")
    with signed_in(service) as other:
        browser.headers["X-CSRF-Token"] = token(other)
    assert_problem(browser.delete("/datasets/ds_1"), 403, "csrf_token_invalid")


def test_an_older_browser_is_known_by_its_origin(service: Running, browser: httpx.Client) -> None:
    del browser.headers["Sec-Fetch-Site"]
    assert_problem(browser.post("/jobs", json={}), 403, "cross_site_request")
    assert browser.post("/jobs", json={}, headers={"Origin": service.url}).status_code == 422


def test_another_sites_script_reads_nothing_with_the_cookie_and_its_links_lead_here(browser: httpx.Client) -> None:
    from_there = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert_problem(browser.get("/jobs", headers=from_there), 403, "cross_site_request")
    link = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert browser.get("/", headers=link).status_code == 200


def test_a_key_that_is_sent_counts_and_needs_no_token(service: Running, browser: httpx.Client) -> None:
    with httpx.Client(base_url=service.url, cookies=browser.cookies) as client:
        answer = client.post("/jobs", json={}, headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    assert_problem(answer, 422, "validation_error")


def test_a_part_of_a_page_leads_the_whole_page_to_the_form(service: Running) -> None:
    with httpx.Client(base_url=service.url) as stranger:
        answer = stranger.get("/ui/jobs", headers={"HX-Request": "true"})
    assert answer.headers["hx-redirect"] == "/login"


def test_a_page_that_is_not_there_says_so_as_a_page(
    browser: httpx.Client, browser_of: Callable[[str], httpx.Client]
) -> None:
    for one in (browser, browser_of("ann")):
        answer = one.get("/ui/nothing")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "page_not_found" in answer.text
