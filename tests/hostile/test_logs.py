"""Logs: no text of a user begins a line of its own, and no key comes into any file."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service import KEY, Service
from tests.hostile.belongings import Belongings
from tests.hostile.tenant import Tenant

FORGED = 'a\n{"level": "error", "event": "forged-canary"}\r\n\x1b[2J\x85\u2028forged-canary\x9b'
_CONTROLS = [chr(code) for code in [*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029]]


def _logs(service: Service) -> Iterator[Path]:
    """What the API, the worker and its children have written."""
    yield service.folder / "api.log"
    yield service.folder / "worker.log"
    yield from service.data_dir.rglob("*.log")


@pytest.fixture(scope="module")
def attacked(anns: Belongings, ann: Tenant) -> None:
    """Put the text wherever a user can put one; names and labels in jobs that fail, too."""
    client = ann.client
    client.post("/datasets", files={"file": ("a.csv", b"text,label\n")}, data={"name": FORGED})
    failed = ann.imported(f"{FORGED.splitlines()[0]}%0A{{.csv", b"a,b\n", name=FORGED)
    assert failed["status"] == "failed"
    ann.imported("a.jsonl", "\n".join(json.dumps({"text": "x", "label": FORGED}) for _ in range(2)).encode())
    ann.imported("a.jsonl", json.dumps({FORGED: "x", "label": "y"}).encode())
    client.post("/jobs", json={"dataset": FORGED, "backbone": FORGED, "name": FORGED, "metadata": {"a": FORGED}})
    job = client.post("/jobs", json={"dataset": anns.dataset, "backbone": "hf/tests/none", "name": FORGED})
    ann.ended(f"/jobs/{job.json()['id']}", "failed")
    client.put(f"/models/{anns.model}/aliases/a%0A%7B%22level%22:%22forged-canary%22%7D")
    client.get("/jobs/%0A%7B%22level%22:%20%22forged-canary%22%7D%1b%5b2J")
    client.get("/jobs", params={"dataset": FORGED})
    client.post("/predict", json={"model": FORGED, "inputs": FORGED})
    client.post("/predict", json={"model": anns.model, "inputs": FORGED})
    client.get("/jobs", headers={"X-Request-ID": "forged-canary{", "User-Agent": "forged-canary"})


@pytest.mark.usefixtures("attacked")
def test_no_text_of_a_user_forges_a_line(service: Service) -> None:
    for path in _logs(service):
        text = path.read_bytes().decode()
        assert [line for line in text.split("\n") if line.startswith(('{"level"', "forged"))] == [], path
        assert [control for control in _CONTROLS if control in text] == [], path


@pytest.mark.usefixtures("attacked")
@pytest.mark.parametrize("part", ["api", "worker"])
def test_every_line_is_one_record(part: str, service: Service) -> None:
    """But for a few fixed words of libtiff on broken pictures, which no text of a user comes into."""
    lines = (service.folder / f"{part}.log").read_text("utf-8").split("\n")
    assert [line for line in lines if not line.startswith("{") and ("forged" in line or "canary" in line)] == []
    records = [json.loads(line) for line in lines if line.startswith("{")]
    assert {"event", "level", "timestamp"} <= set.intersection(*(set(record) for record in records))
    assert any("forged-canary" in str(record) for record in records)


def test_no_key_is_in_any_file(service: Service, ann: Tenant, bob: Tenant, anns: Belongings) -> None:
    """Logs, database, broker, scratch: keys lie hashed in the database, and nowhere else."""
    del anns
    wrong = f"ft_{secrets.token_urlsafe(32)}"
    for headers in ({"Authorization": f"Bearer {wrong}"}, {"Authorization": f"Basic {wrong}"}, {"Cookie": wrong}):
        ann.client.get("/jobs", headers=headers)
    ann.client.get("/jobs", params={"key": wrong, "authorization": ann.key})
    ann.client.post("/keys", json={"owner": wrong[:3], "role": "user", "key": ann.key})
    secrets_ = {key.encode() for key in (KEY, ann.key, bob.key, wrong)}
    found = {
        (path.name, secret[:8])
        for path in service.folder.rglob("*")
        if path.is_file()
        for secret in secrets_
        if secret in path.read_bytes()
    }
    assert found == set()


def test_a_new_key_is_told_once_and_never_again(service: Service, ann: Tenant) -> None:
    for path in ("/keys", "/audit", "/metrics"):
        assert ann.key not in service.client.get(path).text
    assert all("key" not in one for one in service.client.get("/keys").json()["data"])
