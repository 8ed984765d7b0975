"""What its owner has deleted is gone: from the store, from the database, from what was made of it."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from models_store.database.engine import Database
from tests import cluster
from tests.e2e import sets
from tests.e2e.service import Service
from tests.hostile import forms
from tests.hostile.belongings import Belongings, acquired
from tests.hostile.tenant import Tenant, tenant

_CANARY = b"canary-to-be-forgotten"


@pytest.fixture
def carol(service: Service) -> Iterator[Tenant]:
    """Somebody who leaves."""
    with tenant(service, "carol") as made:
        yield made


def _marked(colour: str, seed: int) -> bytes:
    """A picture whose file says the canary."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(sets.picture(colour, seed))).save(buffer, "JPEG", quality=92, comment=_CANARY)
    return buffer.getvalue()


def _pictures(first: int) -> bytes:
    return forms.archive((f"{c}/canary{n}.jpg", _marked(c, first + n)) for c in ("red", "blue") for n in range(6))


def _traces(service: Service, *texts: bytes) -> set[tuple[str, str]]:
    """Files that hold one of these texts, and which; what the database has deleted is written out first."""
    database = Database(service.database_url)
    database.scrub()
    database.close()
    service.forget_copies()
    found = set()
    for path in service.data_dir.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        found |= {(path.name, text.decode()) for text in texts if text in content or text in path.name.encode()}
    return found


def _forgotten(carol: Tenant, hers: Belongings) -> None:
    for path in (
        f"models/{hers.model}",
        f"jobs/{hers.job}",
        f"checkpoints/{hers.checkpoint}",
        f"datasets/{hers.dataset}",
    ):
        assert carol.client.delete(f"/{path}").status_code == 204, path


def test_nothing_of_what_its_owner_deleted_is_left(service: Service, carol: Tenant) -> None:
    name = "canary-of-carol"
    hers = acquired(service, carol, name=name, content=_pictures(700))
    shown = carol.client.get(f"/datasets/{hers.dataset}").json()
    fingerprint = shown["fingerprint"].removeprefix("sha256:").encode()
    texts = (_CANARY, name.encode(), fingerprint, hers.checkpoint.encode(), hers.model.encode())
    elsewhere = {name} if cluster.WANTED else set()  # in the rows alone, and they are on another server
    assert {text for _, text in _traces(service, *texts)} == {text.decode() for text in texts} - elsewhere
    _forgotten(carol, hers)
    left = _traces(service, *texts)
    assert {file for file, _ in left if not file.startswith("finetuned.db")} == set()
    assert {text for _, text in left} <= {hers.checkpoint, hers.model}  # in the audit log: they were deleted


def test_what_two_owners_have_stays_until_both_have_deleted_it(service: Service, carol: Tenant, bob: Tenant) -> None:
    content = _pictures(800)
    hers, his = (one.imported("same.zip", content) for one in (carol, bob))
    assert hers["fingerprint"] == his["fingerprint"]
    assert carol.client.delete(f"/datasets/{hers['id']}").status_code == 204
    item = bob.client.get(f"/datasets/{his['id']}/items").json()["data"][0]["id"]
    assert _CANARY in bob.client.get(f"/datasets/{his['id']}/items/{item}/content").content
    assert bob.client.delete(f"/datasets/{his['id']}").status_code == 204
    assert _traces(service, _CANARY) == set()


def test_deeds_are_told_with_who_did_them_and_to_what(service: Service, carol: Tenant, bob: Tenant) -> None:
    made = carol.imported("mine.csv", b"text,label\n" + b"".join(b"t%d,%d\n" % (n, n % 2) for n in range(8)))
    bob.client.delete(f"/datasets/{made['id']}")  # which is not his, so nothing is done
    answer = carol.client.delete(f"/datasets/{made['id']}", headers={"X-Request-ID": "carol-leaves"})
    assert answer.status_code == 204
    entries = service.client.get("/audit", params={"owner": "carol", "action": "dataset.deleted"}).json()["data"]
    mine = [entry for entry in entries if entry["object"] == made["id"]]
    assert [(one["actor"], one["role"], one["key"], one["request_id"]) for one in mine] == [
        ("carol", "user", carol.key_id, "carol-leaves")
    ]
    keys = service.client.get("/audit", params={"owner": "carol", "action": "key.created"}).json()["data"]
    assert {entry["actor"] for entry in keys} == {"admin"}
    assert carol.key_id in {entry["object"] for entry in keys}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/audit", f"/audit/{mine[0]['id']}"):
            assert service.client.request(method, path).status_code in {404, 405}, (method, path)
