import httpx

from tests.app.published import LABELS, publish
from tests.app.service import Running, assert_problem


def test_a_model_shows_what_it_is_and_where_it_came_from(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    shown = client.get(f"/models/{model_id}").json()
    assert client.get("/models").json() == {"data": [shown], "has_more": False}
    assert (shown["id"], shown["object"], shown["name"], shown["version"]) == (model_id, "model", "insects", 1)
    assert (shown["labels"], shown["aliases"], shown["backbone"]) == (LABELS, [], "torchvision/squeezenet1_1")
    assert (shown["metrics"], shown["parity"], shown["freeze_proof"]) == (
        {"val_accuracy": 0.9},
        {"passed": True},
        {"unchanged": True},
    )
    assert client.get(f"/jobs/{shown['job']}").json()["model"] == model_id
    assert client.get(f"/datasets/{shown['dataset']}").status_code == 200
    assert shown["preprocessing"]


def test_models_of_a_name_are_counted(service: Running, client: httpx.Client) -> None:
    for _ in range(2):
        publish(service)
    assert [model["version"] for model in client.get("/models").json()["data"]] == [2, 1]


def test_a_deleted_model_is_gone(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    assert client.delete(f"/models/{model_id}").status_code == 204
    for answer in (client.get(f"/models/{model_id}"), client.delete(f"/models/{model_id}")):
        assert_problem(answer, 404, "model_not_found")


def test_another_owners_model_cannot_be_deleted(service: Running, client: httpx.Client) -> None:
    model_id = publish(service)
    with service.user("bob") as bob:
        assert_problem(bob.delete(f"/models/{model_id}"), 404, "model_not_found")
    assert client.get(f"/models/{model_id}").status_code == 200
