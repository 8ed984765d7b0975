"""Other people's objects: the key of one user on everything of another; the routes come from the OpenAPI document.

A route that is not yet in one of the tables below fails `test_every_route_is_attacked`.
"""

import re
from typing import Any, Final

import httpx
import pytest

from tests.e2e import sets
from tests.e2e.service import Service
from tests.hostile.belongings import BACKBONE, NAME, Belongings
from tests.hostile.tenant import Tenant

Route = tuple[str, str]
OPEN: Final[set[Route]] = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/readyz/api"),
    ("GET", "/v2/health/live"),
    ("GET", "/v2/health/ready"),
}
ADMINS: Final[dict[Route, dict[str, Any]]] = {
    ("POST", "/keys"): {"json": {"owner": "bob", "role": "admin"}},
    ("GET", "/keys"): {},
    ("DELETE", "/keys/{key_id}"): {},
    ("POST", "/weights"): {"data": {"backbone": BACKBONE}, "files": {"file": ("a.pt", b"x")}},
    ("GET", "/weights"): {},
    ("DELETE", "/weights"): {"params": {"backbone": BACKBONE}},
    ("GET", "/audit"): {},
}
"""Routes for admins alone, each with a request that an admin could send."""
LISTS: Final[set[Route]] = {
    ("GET", "/datasets"),
    ("GET", "/checkpoints"),
    ("GET", "/jobs"),
    ("GET", "/models"),
    ("GET", "/usage"),
    ("GET", "/metrics"),
    ("GET", "/workers"),
    ("GET", "/backbones"),
    ("GET", "/v2"),
}
"""Routes that name no object: nothing of others may be in their answers."""
MAKERS: Final[set[Route]] = {
    ("POST", "/datasets"),
    ("POST", "/checkpoints"),
    ("POST", "/jobs"),
    ("POST", "/jobs/preflight"),
    ("POST", "/predict"),
}
"""Routes whose bodies may name objects: each is attacked by tests of its own."""
_TENSOR: Final = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [""]}]}
BODIES: Final[dict[Route, dict[str, Any]]] = {
    ("POST", "/models/{ref}/evaluate"): {"dataset": "ds_none"},
    ("POST", "/v2/models/{ref}/infer"): _TENSOR,
    ("POST", "/v2/models/{ref}/versions/{version}/infer"): _TENSOR,
    ("POST", "/hf/models/{ref}"): {"inputs": ""},
}
"""Of routes that name an object in their address, those that need a body."""
_PARAMETER: Final = re.compile(r"{(\w+)}")


@pytest.fixture(scope="module")
def routes(service: Service) -> set[Route]:
    """Everything that the service says it has."""
    paths: dict[str, dict[str, Any]] = service.client.get("/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


@pytest.fixture(scope="module")
def bobs_dataset(bob: Tenant) -> str:
    """A set of his own."""
    return str(bob.imported("mine.zip", sets.picture_zip(6))["id"])


def _of_objects(routes: set[Route]) -> list[Route]:
    return sorted(route for route in routes - ADMINS.keys() if _PARAMETER.search(route[1]))


def _filled(path: str, ids: dict[str, str]) -> str:
    return _PARAMETER.sub(lambda found: ids[found[1]], path)


def _ask(client: httpx.Client, route: Route, ids: dict[str, str]) -> httpx.Response:
    return client.request(route[0], _filled(route[1], ids), json=BODIES.get(route))


def _told(answer: httpx.Response, ids: dict[str, str]) -> str:
    """The answer without what differs in any two: the request's id, and the ids that were sent."""
    text = answer.text.replace(answer.headers["x-request-id"], "REQUEST")
    for name, value in ids.items():
        text = text.replace(value, name) if _is_id(value) else text
    return f"{answer.status_code} {text}"


def _nothing(ids: dict[str, str]) -> dict[str, str]:
    """Ids of the same form that nobody has."""
    return {name: f"{value[:-6]}zzzzzz" if _is_id(value) else value for name, value in ids.items()}


def _is_id(value: str) -> bool:
    return "_" in value  # neither an alias nor the number of an item


def test_every_route_is_attacked(routes: set[Route]) -> None:
    named = OPEN | ADMINS.keys() | LISTS | MAKERS | set(_of_objects(routes))
    assert routes - named == set()
    assert (OPEN | ADMINS.keys() | LISTS | MAKERS | BODIES.keys()) - routes == set()


def test_somebody_elses_object_is_as_one_that_is_not_there(routes: set[Route], anns: Belongings, bob: Tenant) -> None:
    ids, none = anns.paths, _nothing(anns.paths)
    differing = {}
    for route in _of_objects(routes):
        hers, nobodys = (_ask(bob.client, route, of) for of in (ids, none))
        if nobodys.status_code != 404 or _told(hers, ids) != _told(nobodys, none):
            differing[route] = (hers.text, nobodys.text)
    assert differing == {}


def test_after_all_that_everything_of_hers_is_still_there(
    routes: set[Route], anns: Belongings, ann: Tenant, bob: Tenant
) -> None:
    for route in _of_objects(routes):
        _ask(bob.client, route, anns.paths)
    read = [(method, path) for method, path in _of_objects(routes) if method == "GET"]
    statuses = {path: _ask(ann.client, (method, path), anns.paths).status_code for method, path in read}
    assert {path for path, status in statuses.items() if status != 200} == {"/jobs/{job_id}/report"}  # no evaluation


def test_a_models_name_and_alias_are_its_owners(anns: Belongings, ann: Tenant, bob: Tenant) -> None:
    del anns
    ref = f"{NAME}@production"
    assert ann.client.get(f"/models/{ref}").status_code == 200
    for method, path in (("GET", ""), ("GET", "/download"), ("HEAD", "/download"), ("GET", "/report")):
        assert bob.client.request(method, f"/models/{ref}{path}").status_code == 404
    moved = bob.client.put(f"/models/{ref}/aliases/mine")
    assert (moved.status_code, moved.json()["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["/jobs", "/jobs/preflight"])
@pytest.mark.parametrize("named", ["dataset", "model", "checkpoint"])
def test_a_job_cannot_name_somebody_elses_objects(
    path: str, named: str, anns: Belongings, bob: Tenant, bobs_dataset: str
) -> None:
    def asked(ids: dict[str, str]) -> httpx.Response:
        bodies = {
            "dataset": {"dataset": ids["dataset_id"], "backbone": BACKBONE, "weights": None},
            "model": {"dataset": bobs_dataset, "backbone": f"model/{ids['ref']}"},
            "checkpoint": {"dataset": bobs_dataset, "backbone": f"checkpoint/{ids['checkpoint_id']}"},
        }
        return bob.client.post(path, json=bodies[named])

    hers, none = anns.paths, _nothing(anns.paths)
    answer = asked(hers)
    assert (answer.status_code, answer.json()["code"]) == (404, f"{named}_not_found")
    assert _told(answer, hers) == _told(asked(none), none)


def test_an_evaluation_cannot_name_somebody_elses_data_set(anns: Belongings, ann: Tenant, service: Service) -> None:
    theirs = service.upload("theirs.csv", sets.sentence_csv(5))["id"]  # the admin's own
    answer = ann.client.post(f"/models/{anns.model}/evaluate", json={"dataset": theirs})
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")


@pytest.mark.parametrize("by", ["id", "alias"])
@pytest.mark.parametrize("form", ["json", "multipart", "raw"])
def test_nobody_predicts_with_somebody_elses_model(
    by: str, form: str, anns: Belongings, ann: Tenant, bob: Tenant
) -> None:
    ref = anns.model if by == "id" else f"{NAME}@production"
    picture = sets.picture("red", 1)
    requests: dict[str, dict[str, Any]] = {
        "json": {"json": {"model": ref, "inputs": "aGk="}},
        "multipart": {"data": {"model": ref}, "files": {"file": ("a.jpg", picture)}},
        "raw": {"params": {"model": ref}, "content": picture, "headers": {"Content-Type": "image/jpeg"}},
    }
    assert ann.client.post("/predict", **requests[form]).status_code == 200
    answer = bob.client.post("/predict", **requests[form])
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_lists_show_nothing_of_others(anns: Belongings, bob: Tenant) -> None:
    for method, path in sorted(LISTS):
        answer = bob.client.request(method, path)
        assert answer.status_code == 200, path
        assert [trace for trace in anns.traces() if trace in answer.text] == [], path


def test_a_list_cannot_be_entered_at_somebody_elses_object(anns: Belongings, bob: Tenant) -> None:
    for path, after in (("/datasets", anns.dataset), ("/jobs", anns.job), ("/models", anns.model)):
        for query in ({"after": after}, {"after": "zzz"}, {"limit": "100"}):
            assert NAME not in bob.client.get(path, params=query).text
    assert bob.client.get("/jobs", params={"dataset": anns.dataset}).json()["data"] == []


def test_an_idempotency_key_is_its_owners(anns: Belongings, ann: Tenant, bob: Tenant) -> None:
    body = {"dataset": anns.dataset, "backbone": "hf/tests/none"}
    headers = {"Idempotency-Key": "shared"}
    job = ann.client.post("/jobs", json=body, headers=headers)
    assert job.status_code == 202
    ann.client.post(f"/jobs/{job.json()['id']}/cancel")
    assert bob.client.post("/jobs", json=body, headers=headers).status_code == 404


def test_without_a_key_nothing_but_health_is_told(routes: set[Route], anns: Belongings, nobody: httpx.Client) -> None:
    for method, path in sorted(routes):
        answer = nobody.request(method, _filled(path, anns.paths))
        assert (answer.status_code == 401) == ((method, path) not in OPEN), (method, path)


def test_a_user_is_no_admin(anns: Belongings, bob: Tenant) -> None:
    for (method, path), request in ADMINS.items():
        answer = bob.client.request(method, _filled(path, anns.paths), **request)
        assert (answer.status_code, answer.json()["code"]) == (403, "admin_only"), (method, path)


def test_a_revoked_key_is_no_key(service: Service, anns: Belongings) -> None:
    made = service.client.post("/keys", json={"owner": "ann", "role": "user"}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert service.client.get(f"/models/{anns.model}", headers=headers).status_code == 200
    service.client.delete(f"/keys/{made['id']}")
    assert service.client.get(f"/models/{anns.model}", headers=headers).status_code == 401


def test_ids_cannot_be_counted_up(anns: Belongings, bob: Tenant) -> None:
    """80 of an id's bits are random: two data sets of one moment have next to nothing but the time in common."""
    made = [bob.client.post("/datasets", files={"file": ("a.csv", b"text,label\n")}).json()["id"] for _ in range(3)]
    ends = [one[-16:] for one in [*made, anns.dataset]]
    assert len(set(ends)) == 4
    assert all(
        sum(a != b for a, b in zip(one, other, strict=True)) > 8 for one in ends for other in ends if one != other
    )
