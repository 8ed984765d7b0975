"""That every metric of docs/operations.md moves when what it counts happens."""

import re
from pathlib import Path

import httpx
from sqlalchemy import update

from models_store import counters, leases, workers
from models_store.database.engine import now
from models_store.database.tables import JobRow
from tests.app.served import Served, served
from tests.app.service import Running, claimed, job, ready_dataset
from tests.e2e.sets import picture
from tests.scraped import value

__all__ = ["served"]
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def test_the_queue_s_age_is_that_of_the_job_that_waits_longest(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    assert value(client, "finetuned_queue_age_seconds", lane="training") == 0
    old = job(client, dataset)["id"]
    job(client, dataset)
    with service.database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == old).values(queued_at=now() - 500))
    assert 500 <= value(client, "finetuned_queue_age_seconds", lane="training") < 520
    assert value(client, "finetuned_queue_age_seconds", lane="light") == 0
    claimed(service)
    assert value(client, "finetuned_queue_age_seconds", lane="training") < 60


def test_attempts_and_leases_that_ran_out_are_counted(service: Running, client: httpx.Client) -> None:
    job(client, ready_dataset(service, client))
    before = value(client, "finetuned_job_attempts_total", kind="fine_tune")
    claimed(service)
    assert value(client, "finetuned_job_attempts_total", kind="fine_tune") == before + 1
    assert value(client, "finetuned_leases_expired_total", kind="fine_tune") == 0
    with service.database.write() as session:
        session.execute(update(JobRow).where(JobRow.state == "running").values(lease_until=now() - 1))
    leases.reap(service.database)
    assert value(client, "finetuned_leases_expired_total", kind="fine_tune") == 1


def test_features_are_counted_by_where_they_came_from(service: Running, client: httpx.Client) -> None:
    for where, number in (("cache", 7), ("computed", 5), ("cache", 1)):
        with service.database.write() as session:
            counters.add(session, counters.FEATURES, where, number)
    assert value(client, "finetuned_features_total", source="cache") == 8
    assert value(client, "finetuned_features_total", source="computed") == 5


def test_the_memory_of_gpus_is_told_once_a_machine(service: Running, client: httpx.Client) -> None:
    for lane in ("training", "light"):
        memory = {"used": 3, "total": 80}
        workers.seen(service.database, workers.Seen(f"a:1:{lane}", lane, "A100", gpu_memory=memory))
    workers.seen(service.database, workers.Seen("b:1:training", "training", "cpu"))
    assert value(client, "finetuned_gpu_memory_bytes", what="used") == 3
    assert value(client, "finetuned_gpu_memory_bytes", host="a", what="total") == 80
    assert value(client, "finetuned_gpu_memory_bytes", host="b") == 0


def test_batches_engines_and_models_in_memory_are_counted(served: Served) -> None:
    def counted(name: str, **labels: str) -> float:
        return value(served.client, name, **labels)

    before = {
        name: counted(name) for name in ("finetuned_prediction_batch_items_sum", "finetuned_engine_seconds_count")
    }
    loaded, found = (counted("finetuned_model_lookups_total", found=where) for where in ("disk", "memory"))
    files = [("file", (f"{number}.jpg", picture("blue", number))) for number in range(3)]
    for _ in range(2):
        assert served.client.post("/predict", data={"model": served.images}, files=files).status_code == 200
    assert counted("finetuned_prediction_batch_items_sum") == before["finetuned_prediction_batch_items_sum"] + 6
    assert counted("finetuned_engine_seconds_count") == before["finetuned_engine_seconds_count"] + 2
    assert counted("finetuned_engine_seconds_sum") > 0
    assert counted("finetuned_model_lookups_total", found="disk") == loaded + 1
    assert counted("finetuned_model_lookups_total", found="memory") == found + 1


def test_the_page_for_operators_names_every_metric_and_no_other(client: httpx.Client) -> None:
    told = set(re.findall(r"# TYPE (finetuned_\w+)", client.get("/metrics").text))
    documented = set(re.findall(r"^\| `(finetuned_\w+)", OPERATIONS.read_text("utf-8"), re.MULTILINE))
    assert {name for name in told if not name.endswith("_created")} == documented
