from pathlib import Path
from typing import Any

import httpx

from models_store.mirror import Mirror
from tests.app.service import Running
from tests.models_store.tiny_models import image_model, text_model


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


def test_a_mirrored_model_of_hugging_face_is_listed_with_its_own_task(
    service: Running, client: httpx.Client, tmp_path: Path
) -> None:
    mirror = Mirror(service.settings.store_dir)
    mirror.add("hf/tiny/vit", "DEFAULT", image_model(tmp_path / "vit", "vit"))
    mirror.add("hf/tiny/bert", "DEFAULT", text_model(tmp_path / "bert", "bert"))
    found = _listed(client, family="hf", search="tiny/")["data"]
    assert [(info["backbone"], info["task"], info["available"]) for info in found] == [
        ("hf/tiny/bert", "text-classification", ["main"]),
        ("hf/tiny/vit", "image-classification", ["main"]),
    ]
