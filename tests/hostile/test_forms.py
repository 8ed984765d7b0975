"""Multipart forms that are too many, too long, or broken."""

import pytest

from tests.e2e.service import Service
from tests.hostile.belongings import Belongings
from tests.hostile.conftest import uploads
from tests.hostile.forms import KIND, form, part
from tests.hostile.tenant import Tenant

_FILE = part("file", b"text,label\na,b\n", "a.csv")
_UPLOADS = ("/datasets", "/checkpoints")


@pytest.mark.parametrize("path", [*_UPLOADS, "/predict"])
@pytest.mark.parametrize("kind", ["fields", "files"])
def test_a_form_of_1001_parts_is_refused(path: str, kind: str, ann: Tenant) -> None:
    one = [part(f"f{number}", b"x", "a.csv" if kind == "files" else None) for number in range(1001)]
    parts = [part("file", b"x", "a.csv")] * 2000 if path == "/predict" and kind == "files" else one
    answer = ann.client.post(path, content=form(*parts), headers=KIND)
    assert (answer.status_code, answer.json()["code"]) in {(413, "too_many_parts"), (422, "unexpected_file")}


@pytest.mark.parametrize("path", [*_UPLOADS, "/predict"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(part("name", b"x", None, "X: " + "a" * 1_500_000) + _FILE, id="endless header"),
        pytest.param(part("name", b"x", None, *["X: a"] * 100_000) + _FILE, id="endless headers"),
        pytest.param(part("n" * 1_000_000, b"x") + _FILE, id="endless name"),
        pytest.param(part("name", b"x" * 1_000_000) + _FILE, id="endless field"),
        pytest.param(part("name", b"x") * 19 + _FILE, id="one field often"),
        pytest.param(_FILE + _FILE, id="two files"),
        pytest.param(part("file", b"x"), id="no file"),
        pytest.param(part("upload", b"x", "a.csv"), id="another field"),
        pytest.param(part("file", b"x", "a.csv").replace(b"form-data; ", b""), id="no kind"),
        pytest.param(part("file", b"x", "a.csv").replace(b'name="file"; ', b""), id="no name"),
        pytest.param(b"--b\r\n\r\n", id="no headers"),
        pytest.param(b"--b\r\nContent-Disposition: form-data; name=\xff\xfe\r\n\r\nx\r\n", id="bytes"),
        pytest.param(b"--b\n" * 1000, id="bare line feeds"),
        pytest.param(b"\r\n" * 100_000, id="empty lines"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 100_000, id="no boundary in it"),
    ],
)
def test_a_broken_form_is_refused_and_leaves_nothing(path: str, body: bytes, ann: Tenant, service: Service) -> None:
    left = uploads(service)
    for end in (b"", b"--b--\r\n"):
        answer = ann.client.post(path, content=body + end, headers=KIND)
        assert answer.status_code in {400, 413, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert not uploads(service) - left


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 20_000,
        "multipart/form-data; boundary=c",
        "multipart/form-data; boundary*=utf-8''b",
        "multipart/mixed; boundary=b",
        "multipart/form-data" + ";" * 20_000,
    ],
)
@pytest.mark.parametrize("path", [*_UPLOADS, "/predict"])
def test_a_boundary_that_is_none_is_refused(path: str, kind: str, ann: Tenant) -> None:
    answer = ann.client.post(path, content=form(_FILE), headers={"Content-Type": kind})
    assert answer.status_code in {400, 413, 415, 422}, answer.text


def test_a_part_that_claims_another_encoding_is_taken_as_it_is(ann: Tenant) -> None:
    bomb = part("file", b"H4sIAAAAAAAA", "a.csv", "Content-Transfer-Encoding: base64", "Content-Encoding: gzip")
    answer = ann.client.post("/datasets", content=form(bomb), headers=KIND)
    assert answer.status_code == 202
    failed = ann.ended(f"/datasets/{answer.json()['id']}", "failed")
    assert failed["error"]["code"] == "missing_columns"


def test_more_inputs_than_allowed_are_refused(anns: Belongings, ann: Tenant) -> None:
    inputs = ["aGk="] * 1025
    answer = ann.client.post("/predict", json={"model": anns.model, "inputs": inputs})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_inputs")
