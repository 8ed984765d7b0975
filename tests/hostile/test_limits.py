"""Every number that a user can send, one beyond its cap; and more requests than one key may send."""

import copy
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.settings import AppSettings
from tests.app.service import ADMIN_KEY, Running, running
from tests.e2e.service import Service
from tests.hostile import forms
from tests.hostile.belongings import BACKBONE, Belongings
from tests.hostile.tenant import Tenant

Schema = dict[str, Any]
Path = tuple[str, ...]
_HUGE = (10**9, 1e9, 10**18, 2**63, 2**64, 1e308, 10**400)


@pytest.fixture(scope="module")
def description(service: Service) -> Schema:
    """The OpenAPI document."""
    described: Schema = service.client.get("/openapi.json").json()
    return described


def _resolved(description: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Schema = description
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _numbers(description: Schema, schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every number below a schema: its path, and its own schema."""
    schema = _resolved(description, schema)
    if schema.get("type") in {"integer", "number"}:
        yield path, schema
    for choice in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(choice, []):
            yield from _numbers(description, one, path)
    for name, field in schema.get("properties", {}).items():
        yield from _numbers(description, field, (*path, name))


def _cap(schema: Schema) -> float:
    """The largest number that it allows, or the smallest that it does not."""
    most: float = schema["maximum"] if "maximum" in schema else schema["exclusiveMaximum"]
    return most


def _beyond(schema: Schema) -> list[Any]:
    """Numbers that are too large for it, or too small."""
    most = _cap(schema)
    just = most if "exclusiveMaximum" in schema else most + 1
    return [just, *(huge for huge in _HUGE if huge > most), -(10**18)]


def _widest(found: Iterator[tuple[Path, Schema]]) -> list[tuple[Path, Schema]]:
    """Each place once, with the schema that allows most there."""
    most: dict[Path, Schema] = {}
    for path, schema in found:
        if path not in most or _cap(schema) > _cap(most[path]):
            most[path] = schema
    return list(most.items())


def _with(body: Schema, path: Path, value: Any) -> Schema:
    changed = copy.deepcopy(body)
    place = changed
    for name in path[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            return changed
    place[path[-1]] = value
    return changed


def test_no_body_gets_a_number_beyond_its_cap_through(description: Schema, anns: Belongings, ann: Tenant) -> None:
    wholes: dict[str, Schema] = {
        "/jobs": {"dataset": anns.dataset, "backbone": BACKBONE, "weights": None},
        "/jobs/preflight": {"dataset": anns.dataset, "backbone": BACKBONE, "weights": None},
        "/predict": {"model": anns.model, "inputs": "x"},
    }
    tried = 0
    for path, body in wholes.items():
        schema = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for place, number in _widest(_numbers(description, schema)):
            for value in _beyond(number):
                answer = ann.client.post(path, json=_with(body, place, value))
                assert answer.status_code in {400, 422}, (path, place, value, answer.text)
                tried += 1
    assert tried > 100


def test_no_address_and_no_form_gets_a_number_beyond_its_cap_through(
    description: Schema, anns: Belongings, ann: Tenant
) -> None:
    tried = 0
    for path, operations in description["paths"].items():
        if "get" not in operations:
            continue
        for parameter in operations["get"].get("parameters", []):
            if parameter["in"] != "query":
                continue
            for _, number in _numbers(description, parameter["schema"]):
                for value in _beyond(number):
                    address = path.format_map(anns.paths)
                    answer = ann.client.get(address, params={parameter["name"]: str(value)})
                    assert answer.status_code in {403, 422}, (path, parameter["name"], value)
                    tried += 1
    form = description["paths"]["/datasets"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    for (name,), number in _numbers(description, form):
        for value in _beyond(number):
            file = {"file": ("a.csv", b"text,label\n")}
            assert ann.client.post("/datasets", files=file, data={name: str(value)}).status_code == 422, name
            tried += 1
    assert tried > 50


def test_waiting_longer_than_a_minute_counts_as_a_minute(anns: Belongings, ann: Tenant) -> None:
    for seconds in ("1e9", "99999999999999999999", "-1", "nan", "inf"):
        answer = ann.client.get(f"/jobs/{anns.job}", headers={"Prefer": f"wait={seconds}"})
        assert answer.status_code == 200


@pytest.fixture
def braked(tmp_path: FilePath) -> Iterator[Running]:
    """An API that lets a key do little."""
    settings = AppSettings(
        data_dir=tmp_path / "data",
        redis_url=f"redis+socket://{tmp_path}/none.sock",
        api_key=SecretStr(ADMIN_KEY),
        max_starts_per_minute=30,
        max_requests_per_second=20,
        max_wrong_keys_per_minute=20,
        max_stored_bytes=2_000_000,
    )
    with running(settings) as started:
        yield started


def _told_to_wait(answers: list[httpx.Response]) -> int:
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.json()["code"] for answer in refused} == {"too_many_requests"}
    assert all(0 < int(answer.headers["retry-after"]) <= 60 for answer in refused)
    return len(refused)


def test_of_a_thousand_posts_in_a_row_most_are_told_to_wait(braked: Running) -> None:
    with braked.user("mallory") as mallory, braked.user("ann") as ann:
        job = {"dataset": "ds_none", "backbone": "hf/tests/none"}
        answers = [mallory.post("/jobs", json=job) for _ in range(1000)]
        assert _told_to_wait(answers) > 900
        assert ann.post("/jobs", json=job).status_code == 404  # another key has tokens of its own


def test_reading_has_its_rate_too(braked: Running) -> None:
    with braked.user("mallory") as mallory:
        assert _told_to_wait([mallory.get("/jobs") for _ in range(100)]) > 20


def test_who_guesses_keys_is_not_listened_to_while_right_keys_go_on(braked: Running) -> None:
    with braked.user("ann") as ann, braked.client(key=None) as mallory:
        assert ann.get("/jobs").status_code == 200
        guesses = [mallory.get("/jobs", headers={"Authorization": f"Bearer ft_{n}"}) for n in range(100)]
        assert _told_to_wait([one for one in guesses if one.status_code != 401]) >= 70
        assert ann.get("/jobs").status_code == 200


def test_more_bytes_than_an_owner_may_store_are_refused(braked: Running) -> None:
    """By the length that is declared, and while they come; another owner's room is its own."""
    small = {"file": ("a.csv", b"text,label\n" + b"x" * 1000)}
    large = {"file": ("a.csv", b"x" * 3_000_000)}
    with braked.user("mallory") as mallory, braked.user("ann") as ann:
        answers = [mallory.post("/datasets", files=small), mallory.post("/datasets", files=large)]
        assert [answer.status_code for answer in answers] == [202, 429]
        assert answers[1].json()["code"] == "storage_quota"
        assert int(answers[1].headers["retry-after"]) > 0

        def body() -> Iterator[bytes]:
            yield forms.form(forms.part("file", b"", "a.csv")).partition(b"\r\n--b--")[0]
            yield from [b"x" * 100_000] * 30

        kind = {"Content-Type": forms.KIND["Content-Type"]}
        assert mallory.post("/datasets", content=body(), headers=kind).json()["code"] == "storage_quota"
        assert ann.post("/datasets", files=small).status_code == 202
    assert len(list(braked.settings.uploads_dir.iterdir())) == 2
