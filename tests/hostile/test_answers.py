"""Every answer has the headers that keep browsers from running it; and nothing of an answer is of the inside."""

import re
from typing import Any, Final

import httpx
import pytest

from app.headers import SECURITY
from tests.e2e.service import Service
from tests.hostile.belongings import Belongings
from tests.hostile.tenant import Tenant
from tests.hostile.wire import Wire

_HEADERS: Final = {name.decode() for name, _ in SECURITY} | {"x-request-id"}
_STRICT: Final = ("default-src 'none'", "default-src 'self'", "sandbox")
_INSIDE: Final = re.compile(
    r"Traceback|File \\?\"|site-packages|sqlalchemy|sqlite3|psycopg|pydantic_core|uvicorn|/root/|/home/|/tmp/|\.py\b"
)
SCRIPT: Final = "<script>alert(document.cookie)</script>"


def _assert_harmless(answer: httpx.Response) -> None:
    missing = {name for name in _HEADERS if name not in answer.headers}
    assert missing == set(), (answer.request.method, answer.request.url, answer.status_code)
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(_STRICT), policy
    assert "unsafe-eval" not in policy
    assert "script-src" not in policy or "unsafe-inline" not in policy
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


def _every(client: httpx.Client, anns: Belongings) -> list[httpx.Response]:
    """An answer of every route and method, right and wrong."""
    paths: dict[str, dict[str, Any]] = client.get("/openapi.json").json()["paths"]
    answers = []
    for path, methods in paths.items():
        address = path.format_map(anns.paths)
        for method in {"get", "head", "options", "patch"} | (methods.keys() - {"delete", "put"}):
            headers = {"Accept": "application/json", "Prefer": "wait=0", "Origin": "https://evil.example"}
            answers.append(client.request(method, address, headers=headers))
    return answers


def test_every_answer_has_the_headers(anns: Belongings, ann: Tenant, service: Service) -> None:
    for client in (ann.client, service.client):
        answers = _every(client, anns)
        assert len({answer.status_code for answer in answers}) >= 5
        for answer in answers:
            _assert_harmless(answer)


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/docs/start.js", "/docs/swagger-ui.css", "/openapi.json", "/healthz", "/nowhere", "/jobs"]
)
def test_without_a_key_too(path: str, nobody: httpx.Client) -> None:
    _assert_harmless(nobody.get(path))


def test_also_what_is_answered_before_there_is_a_request(wire: Wire) -> None:
    for content in (b"no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000):
        (answer,) = wire.said(content)
        assert {name for name in _HEADERS if f"\r\n{name}:" not in answer.head.lower()} == set()


def test_no_answer_tells_of_the_inside(anns: Belongings, ann: Tenant) -> None:
    answers = [*_every(ann.client, anns), *(ann.client.get(path) for path in ("/jobs/%ff", "/datasets/'", "/%00"))]
    answers += [
        ann.client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
        for body in (
            b"{",
            b'{"dataset": {"a": 1}}',
            b"\xff",
            b"[1]",
            b'{"dataset": "\'; SELECT 1", "backbone": "x"}',
        )
    ]
    told = {str(one.request.url): _INSIDE.search(one.text) for one in answers if one.status_code >= 400}
    assert {url: found[0] for url, found in told.items() if found} == {}


def test_markup_of_a_user_is_never_answered_as_a_page(anns: Belongings, ann: Tenant) -> None:
    """A label, a name, an item, an address that are scripts: each comes as JSON or as a plain text, and cannot run."""
    rows = "".join(f'{{"text": "{SCRIPT} {n}", "label": "{SCRIPT if n % 2 else "b"}"}}\n' for n in range(8))
    dataset = ann.imported("a.jsonl", rows.encode(), name=SCRIPT)
    items = ann.client.get(f"/datasets/{dataset['id']}/items").json()["data"]
    answers = [
        ann.client.get(f"/datasets/{dataset['id']}"),
        ann.client.get(f"/datasets/{dataset['id']}/items"),
        ann.client.get(f"/datasets/{dataset['id']}/items/{items[0]['id']}/content"),
        ann.client.get(f"/jobs/{SCRIPT}"),
        ann.client.get("/jobs", params={SCRIPT: SCRIPT}),
        ann.client.put(f"/models/{anns.model}/aliases/%3Cscript%3E"),
    ]
    for answer in answers:
        _assert_harmless(answer)
        kind = answer.headers["content-type"]
        assert kind.startswith(("application/json", "application/problem+json", "text/plain")), kind


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_another_origin_is_given_nothing(method: str, ann: Tenant, nobody: httpx.Client) -> None:
    """No cookie is a key here, so a foreign page can send nothing in somebody's name; and it cannot read answers."""
    foreign = {"Origin": "https://evil.example", "Access-Control-Request-Method": method, "Cookie": f"key={ann.key}"}
    for client in (ann.client, nobody):
        answer = client.request(method, "/jobs", headers=foreign)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert nobody.request(method, "/jobs", headers=foreign).status_code == 401
