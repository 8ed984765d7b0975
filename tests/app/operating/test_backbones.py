from typing import Any

import httpx


def _listed(client: httpx.Client, **query: str | int | bool) -> dict[str, Any]:
    answer = client.get("/backbones", params=query)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_backbones_have_a_task_and_weights(client: httpx.Client) -> None:
    found = _listed(client, family="torchvision", search="SQUEEZENET1_1")["data"]
    assert [(info["backbone"], info["task"], info["weights"]) for info in found] == [
        ("torchvision/squeezenet1_1", "image-classification", ["IMAGENET1K_V1"])
    ]


def test_backbones_are_paged_by_name(client: httpx.Client) -> None:
    first = _listed(client, family="timm", limit=100)
    second = _listed(client, family="timm", limit=100, after=first["data"][-1]["backbone"])
    names = [info["backbone"] for info in first["data"] + second["data"]]
    assert (len(set(names)), names, first["has_more"]) == (200, sorted(names), True)


def test_every_family_that_can_be_listed_is_there(client: httpx.Client) -> None:
    for family in ("torchvision", "timm"):
        assert _listed(client, family=family, limit=1)["data"]
    assert _listed(client, family="nope")["data"] == []
