"""What holds for every page: the browser's rules, escaping, weight, and other people's objects."""

import gzip
import html
import re
from html.parser import HTMLParser
from typing import Final

import pytest
from fastapi.routing import APIRoute

from app.web import pages, static
from app.web.rendering import CSP
from tests.app.web.conftest import Site
from tests.app.web.content import QUOTE, SCRIPT

LISTS: Final = (
    "/",
    "/ui/datasets",
    "/ui/datasets/rows",
    "/ui/jobs",
    "/ui/jobs/rows",
    "/ui/jobs?status=running",
    "/ui/jobs/new",
    "/ui/workers",
    "/ui/models",
    "/ui/predict",
    "/ui/compare",
    "/ui/admin/keys",
    "/ui/admin/usage",
    "/ui/admin/audit",
    "/ui/admin/weights",
    "/login",
    "/ui/nothing",
)
_LEADING: Final = frozenset({"src", "href", "action", "hx-get", "hx-post", "hx-put", "hx-delete", "data-live"})
MOST_BYTES: Final = 150_000
"""Of a page with all that it loads, compressed, without pictures."""


def _addresses(site: Site) -> list[str]:
    return [*LISTS, *(one for one in site.content.addresses if not one.endswith("/live"))]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


def _tags(text: str) -> list[tuple[str, dict[str, str]]]:
    """Elements and their attributes, as a browser reads them."""
    reader = _Reader()
    reader.feed(text)
    return reader.tags


def test_every_page_has_the_strict_policy_and_nothing_that_it_forbids(site: Site) -> None:
    for address in _addresses(site):
        answer = site.browser.get(address)
        assert answer.headers["content-type"].startswith("text/html"), address
        assert answer.headers["content-security-policy"] == CSP, address
        assert "unsafe" not in CSP
        assert answer.headers["x-content-type-options"] == "nosniff", address
        assert answer.headers["cache-control"] == "no-store", address
        for tag, attributes in _tags(answer.text):
            assert tag not in {"style", "base", "object", "iframe"}, address
            assert not {name for name in attributes if name == "style" or name.startswith("on")}, address
            runs = tag == "script" and attributes.get("type") != "application/json"
            assert not runs or attributes["src"].startswith("/static/"), address


def test_no_page_names_another_host(site: Site) -> None:
    for address in _addresses(site):
        for tag, attributes in _tags(site.browser.get(address).text):
            for name in _LEADING & attributes.keys():
                assert "://" not in attributes[name], (address, tag)
                assert not attributes[name].startswith("//"), (address, tag)


def test_names_are_text_and_never_markup(site: Site) -> None:
    seen = 0
    for address in _addresses(site):
        text = site.browser.get(address).text
        assert SCRIPT not in text, address
        assert QUOTE not in text, address
        assert "<img src=x" not in text, address
        seen += html.escape(SCRIPT) in text or html.escape(QUOTE) in text
    assert seen > len(site.content.addresses) / 2, "the names are shown at all"


def test_somebody_elses_object_has_no_page(site: Site) -> None:
    for address in site.content.addresses:
        answer = site.bob.get(address)
        assert answer.status_code == 404, address
        assert html.escape(SCRIPT) not in answer.text, address
    for method, address in (
        ("DELETE", f"/ui/datasets/{site.content.texts}"),
        ("DELETE", f"/ui/jobs/{site.content.ended}"),
        ("POST", f"/ui/jobs/{site.content.running}/cancel"),
        ("POST", f"/ui/jobs/{site.content.ended}/retry"),
    ):
        assert site.bob.request(method, address).status_code == 404, address
    assert site.browser.get(f"/ui/jobs/{site.content.running}").status_code == 200


def test_lists_show_ones_own(site: Site) -> None:
    for address in ("/", "/ui/datasets", "/ui/jobs", "/ui/workers", "/ui/jobs/new"):
        assert "/ui/datasets/ds_" not in site.bob.get(address).text, address
        assert "/ui/jobs/job_" not in site.bob.get(address).text, address


def test_every_page_weighs_little(site: Site) -> None:
    for address in _addresses(site):
        text = site.browser.get(address).text
        loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+\.(?:js|css|svg))"', text))
        loaded |= _imported(loaded)
        weights = [len(_zipped(site, one)) for one in loaded]
        assert sum(weights) + len(gzip.compress(text.encode())) < MOST_BYTES, (address, weights)


def _imported(loaded: set[str]) -> set[str]:
    """What the scripts import: every file of ours, to be on the safe side."""
    some = next((one for one in loaded if one.endswith("app.js")), None)
    return set() if some is None else {some.replace("app.js", name) for name in ("plots.js", "zip.js")}


def _zipped(site: Site, address: str) -> bytes:
    with site.browser.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.status_code == 200, address
        assert answer.headers["content-encoding"] == "gzip"
        return b"".join(answer.iter_raw())


def test_the_design_is_small() -> None:
    assert len((static._FOLDER / "app.css").read_bytes()) < 20_000


def test_files_are_kept_for_ever_under_their_hash_alone(site: Site) -> None:
    address = static.url("app.css")
    assert "immutable" in site.browser.get(address).headers["cache-control"]
    assert site.browser.get(re.sub(r"/static/\w+/", "/static/0000/", address)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["..%2fpages.py", "vendor/README.md", "nothing.js", ""])
def test_only_files_of_the_page_are_served(site: Site, name: str) -> None:
    assert site.browser.get(f"/static/0000/{name}").status_code == 404


def test_vendored_files_come_with_their_licences() -> None:
    folder = static._FOLDER / "vendor"
    told = (folder / "README.md").read_text("utf-8")
    for file in folder.glob("*.min.*"):
        assert f"`{file.name}`" in told
        assert (folder / f"{file.name.split('.')[0]}.LICENSE").is_file(), file


def test_no_page_is_part_of_the_api(site: Site) -> None:
    described = site.browser.get("/openapi.json").json()["paths"]
    routes = [route for router in pages.ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 20
    assert not any(route.path in described for route in routes)
