from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.settings import AppSettings
from models_store.database.tables import KeyRow
from tests.app.service import Running, assert_problem, running, until


def _made(client: httpx.Client, **body: str) -> dict[str, Any]:
    answer = client.post("/keys", json={"owner": "ann", **body})
    assert answer.status_code == 201
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_key_is_shown_once_and_stored_hashed(service: Running, client: httpx.Client) -> None:
    made = _made(client)
    assert (made["owner"], made["role"]) == ("ann", "user")
    assert made["key"].startswith(made["prefix"])
    listed = client.get("/keys").json()["data"]
    assert all("key" not in key for key in listed)
    with service.database.read() as session:
        stored = [vars(row) for row in session.scalars(select(KeyRow))]
    assert made["key"] not in str(stored)


def test_a_key_works_until_it_is_revoked(service: Running, client: httpx.Client) -> None:
    made = _made(client)
    with service.client(made["key"]) as ann:
        assert ann.get("/jobs").status_code == 200
        assert client.delete(f"/keys/{made['id']}").status_code == 204
        assert_problem(ann.get("/jobs"), 401, "invalid_key")
    assert made["id"] not in [key["id"] for key in client.get("/keys").json()["data"]]


def test_a_revocation_by_another_process_counts_within_seconds(settings: AppSettings) -> None:
    forgetful = settings.model_copy(update={"key_cache_seconds": 0.1})
    with running(settings) as here, running(forgetful) as there, here.client() as admin:
        made = _made(admin)
        with there.client(made["key"]) as ann:
            assert ann.get("/jobs").status_code == 200
            admin.delete(f"/keys/{made['id']}")
            until(lambda: ann.get("/jobs").status_code == 401)


def test_an_unknown_key_cannot_be_revoked(client: httpx.Client) -> None:
    assert_problem(client.delete("/keys/key_no"), 404, "key_not_found")


@pytest.mark.parametrize("body", [{}, {"owner": ""}, {"owner": "a", "role": "root"}, {"owner": "a", "key": "mine"}])
def test_wrong_and_unknown_fields_are_refused(client: httpx.Client, body: dict[str, str]) -> None:
    assert_problem(client.post("/keys", json=body), 422, "validation_error")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/keys"), ("POST", "/keys"), ("DELETE", "/keys/x"), ("GET", "/weights"), ("POST", "/weights")],
)
def test_only_admins_may(service: Running, method: str, path: str) -> None:
    with service.user("ann") as ann:
        assert_problem(ann.request(method, path, json={"owner": "x"}), 403, "admin_only")


@pytest.mark.parametrize("unset", [None, SecretStr("")])
def test_a_first_admin_key_is_printed_once(
    settings: AppSettings, capfd: pytest.CaptureFixture[str], unset: SecretStr | None
) -> None:
    keyless = settings.model_copy(update={"api_key": unset})
    with running(keyless) as service:
        line = next(line for line in capfd.readouterr().err.splitlines() if line.startswith("Admin API key"))
        with service.client(line.rpartition(" ")[2]) as client:
            assert client.get("/keys").status_code == 200
    with running(keyless):
        assert "Admin API key" not in capfd.readouterr().err


def test_the_configured_key_is_an_admins_also_after_it_was_revoked(settings: AppSettings) -> None:
    with running(settings) as service, service.client() as client:
        own = client.get("/keys").json()["data"][0]["id"]
        client.delete(f"/keys/{own}")
        assert_problem(client.get("/keys"), 401, "invalid_key")
    with running(settings) as service, service.client() as client:
        assert client.get("/keys").status_code == 200
