"""A job that only some workers can run is rung for by these: it does not wait until one hears the bell for all."""

from collections.abc import Callable

import pytest

from tests.e2e import sets
from tests.e2e.service import Service

SQUEEZENET = "torchvision/squeezenet1_1"


@pytest.mark.slow
def test_a_job_that_needs_a_label_runs_although_the_message_to_all_was_lost(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(OMP_NUM_THREADS="1", FINETUNED_STANDBY="false", FINETUNED_WORKER_LABELS="tiny,memory=1g")
    service.start()
    dataset = service.upload("pictures.zip", sets.picture_zip(6))["id"]
    service.end("worker")
    needs = ["tiny", "memory>=512m"]
    job_id = service.post_job(dataset, SQUEEZENET, weights=None, requires=needs, training={"max_epochs": 1})
    with service.redis() as broker:
        broker.flushall()
    service.start_worker("another")
    assert service.finished(job_id, 90)["status"] == "succeeded"
    offered = {tuple(worker["labels"]) for worker in service.client.get("/workers").json()["data"]}
    assert offered == {("cpu", "memory=1073741824", "tiny")}
