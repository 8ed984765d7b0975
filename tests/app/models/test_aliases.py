from urllib.parse import quote

import httpx
import pytest

from tests.app.published import publish
from tests.app.service import Running, assert_problem


def promote(client: httpx.Client, ref: str, alias: str = "production") -> httpx.Response:
    return client.put(f"/models/{quote(ref, safe='')}/aliases/{alias}")


def predicted_by(client: httpx.Client, ref: str) -> str:
    answer = client.post("/predict", json={"model": ref, "inputs": "%%%"})  # no image: what counts is the model
    assert answer.status_code == 200, answer.text
    return str(answer.json()["model"])


def test_a_promoted_version_is_shown_with_its_alias_everywhere(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    answer = promote(client, model_id)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["id"], shown["aliases"]) == (model_id, ["production"])
    assert promote(client, model_id, "best").json()["aliases"] == ["best", "production"]
    assert client.get(f"/models/{model_id}").json()["aliases"] == ["best", "production"]
    assert [model["aliases"] for model in client.get("/models").json()["data"]] == [["best", "production"]]


def test_a_body_is_not_needed_and_does_no_harm(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    assert client.put(f"/models/{model_id}/aliases/production", json={}).status_code == 200


def test_a_moved_alias_is_effective_with_the_next_prediction(service: Running, client: httpx.Client) -> None:
    first, second = publish(service), publish(service)
    for model_id in (first, second, first):
        promote(client, model_id)
        assert predicted_by(client, "insects@production") == model_id
    assert predicted_by(client, "insects@latest") == second


@pytest.mark.parametrize("name", ["개미 또는 벌", "a/b", "ann@work", "x/download", "100% sure?", "x/aliases/y"])
def test_a_name_in_an_address_may_hold_anything(service: Running, client: httpx.Client, name: str) -> None:
    model_id = publish(service, name=name)
    assert promote(client, f"{name}@latest").json()["id"] == model_id
    ref = quote(f"{name}@production", safe="")
    assert client.get(f"/models/{ref}").json()["id"] == model_id
    assert client.head(f"/models/{ref}/download").status_code == 200
    assert predicted_by(client, f"{name}@production") == model_id
    assert client.delete(f"/models/{ref}/aliases/production").status_code == 204


def test_a_promotion_may_name_the_version_by_another_alias(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    promote(client, model_id, "candidate")
    assert promote(client, "insects@candidate").json()["aliases"] == ["candidate", "production"]


def test_a_removed_alias_means_nothing(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    promote(client, model_id)
    assert client.delete(f"/models/{model_id}/aliases/production").status_code == 204
    gone = client.delete(f"/models/{model_id}/aliases/production")
    for answer in (gone, client.get("/models/insects@production")):
        assert_problem(answer, 404, "alias_not_found")
    answer = client.post("/predict", json={"model": "insects@production", "inputs": "%%%"})
    assert_problem(answer, 404, "alias_not_found")


@pytest.mark.parametrize("alias", ["latest", "Production", "운영", "x" * 65])
def test_what_cannot_be_an_alias_is_refused(service: Running, client: httpx.Client, alias: str) -> None:
    assert_problem(promote(client, publish(service), quote(alias)), 422, "invalid_alias")


def test_an_alias_of_a_model_that_is_not_there(client: httpx.Client) -> None:
    for answer in (promote(client, "mdl_1"), promote(client, "birds@latest"), client.get("/models/birds@latest")):
        assert_problem(answer, 404, "model_not_found")


def test_another_owners_aliases_are_not_there(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    promote(client, model_id)
    with service.user("bob") as bob:
        answers = [
            bob.get("/models/insects@production"),
            bob.post("/predict", json={"model": "insects@production", "inputs": "%%%"}),
            bob.put(f"/models/{model_id}/aliases/production"),
            bob.delete(f"/models/{model_id}/aliases/production"),
            bob.get(f"/models/{model_id}/download"),
        ]
    for answer in answers:
        assert_problem(answer, 404, "model_not_found")
    assert client.get(f"/models/{model_id}").json()["aliases"] == ["production"]


def test_an_admin_has_to_say_whose_model_is_meant(service: Running, client: httpx.Client) -> None:
    for owner in ("ann", "bob"):
        with service.user(owner) as user:
            publish(service, user.headers["Authorization"].removeprefix("Bearer "))
    assert_problem(client.get("/models/insects@latest"), 409, "ambiguous_name")


def test_a_deleted_models_aliases_are_gone(service: Running, client: httpx.Client) -> None:
    first, second = publish(service), publish(service)
    promote(client, second)
    client.delete(f"/models/{second}")
    assert_problem(client.get("/models/insects@production"), 404, "alias_not_found")
    assert client.get("/models/insects@latest").json()["id"] == first


def test_a_model_is_deleted_by_its_id_alone(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    promote(client, model_id)
    assert_problem(client.delete("/models/insects@production"), 404, "model_not_found")
    assert client.get(f"/models/{model_id}").status_code == 200
