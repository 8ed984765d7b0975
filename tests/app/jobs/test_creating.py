"""What a job may start from, and what is refused before it is queued."""

import httpx
import pytest

from tests.app.published import TEXTS, publish
from tests.app.service import Running, assert_problem, job, ready_dataset

IMAGE_TASK = "image-classification"


@pytest.fixture
def model(service: Running) -> str:
    return publish(service)


def test_a_job_goes_on_from_an_earlier_model(model: str, service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client, task=IMAGE_TASK)
    queued = job(client, dataset, backbone=f"model/{model}")
    assert queued["backbone"] == f"model/{model}"
    assert queued["config"]["weights"] == model
    assert queued["name"] == "films-insects"


def test_random_weights_of_an_earlier_models_architecture_may_be_asked(
    model: str, service: Running, client: httpx.Client
) -> None:
    dataset = ready_dataset(service, client, task=IMAGE_TASK)
    assert job(client, dataset, backbone=f"model/{model}", weights=None)["config"]["weights"] is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"weights": "IMAGENET1K_V1"}, "unknown_weights"),
        ({"submodule": "encoder"}, "submodule_unexpected"),
        ({"preprocessing": {"max_length": 20}}, "preprocessing_fixed"),
        ({"strategy": "lora"}, "lora_needs_text"),
    ],
)
def test_what_does_not_go_with_an_earlier_model_is_refused(
    more: dict[str, object], code: str, model: str, service: Running, client: httpx.Client
) -> None:
    body = {"dataset": ready_dataset(service, client, task=IMAGE_TASK), "backbone": f"model/{model}", **more}
    assert_problem(client.post("/jobs", json=body), 422, code)


def test_a_model_goes_on_with_its_own_task(model: str, service: Running, client: httpx.Client) -> None:
    body = {"dataset": ready_dataset(service, client), "backbone": f"model/{model}"}
    assert_problem(client.post("/jobs", json=body), 422, "task_mismatch")


def test_somebody_elses_model_is_not_there(model: str, service: Running) -> None:
    with service.user("ben") as ben:
        body = {"dataset": ready_dataset(service, ben, task=IMAGE_TASK), "backbone": f"model/{model}"}
        assert_problem(ben.post("/jobs", json=body), 404, "model_not_found")


@pytest.mark.parametrize(
    ("backbone", "status", "code"),
    [
        ("model/mdl_none", 404, "model_not_found"),
        ("model/../../etc", 404, "model_not_found"),
        ("checkpoint/ckpt_none", 404, "checkpoint_not_found"),
        ("checkpoint/a\0b", 404, "checkpoint_not_found"),
    ],
)
def test_what_is_not_there_is_told_so(
    backbone: str, status: int, code: str, service: Running, client: httpx.Client
) -> None:
    body = {"dataset": ready_dataset(service, client, task=IMAGE_TASK), "backbone": backbone}
    assert_problem(client.post("/jobs", json=body), status, code)


def test_a_part_is_for_checkpoints_alone(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client, task=IMAGE_TASK)
    body = {"dataset": dataset, "backbone": "torchvision/resnet18", "submodule": "layer1"}
    assert_problem(client.post("/jobs", json=body), 422, "submodule_unexpected")


def test_lora_is_for_texts_alone(service: Running, client: httpx.Client) -> None:
    pictures, texts = ready_dataset(service, client, task=IMAGE_TASK), ready_dataset(service, client)
    for backbone in ("torchvision/resnet18", "hf/tests/none"):
        body = {"dataset": pictures, "backbone": backbone, "strategy": "lora"}
        assert_problem(client.post("/jobs", json=body), 422, "lora_needs_text")
    assert job(client, texts, strategy="lora")["config"]["strategy"] == "lora"


def test_a_retry_asks_again_whether_the_model_is_there(model: str, service: Running, client: httpx.Client) -> None:
    queued = job(client, ready_dataset(service, client, task=IMAGE_TASK), backbone=f"model/{model}")
    client.post(f"/jobs/{queued['id']}/cancel")
    client.delete(f"/models/{model}")
    assert_problem(client.post(f"/jobs/{queued['id']}/retry"), 404, "model_not_found")


def test_a_text_model_is_for_texts(service: Running, client: httpx.Client) -> None:
    model = publish(service, kind=TEXTS)
    assert job(client, ready_dataset(service, client), backbone=f"model/{model}")["config"]["weights"] == model
