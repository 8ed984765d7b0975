import httpx

from app.settings import AppSettings
from models_store import leases, workers
from tests.app.service import Running, job, ready_dataset, running, upload_texts


def test_the_process_lives(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_means_database_broker_and_a_worker(service: Running, client: httpx.Client) -> None:
    lonely = client.get("/readyz")
    assert (lonely.status_code, lonely.json()["checks"]) == (
        503,
        {"database": "ok", "broker": "ok", "worker": "failed"},
    )
    workers.seen(service.database, workers.Seen("w1", "training", "cpu"))
    assert client.get("/readyz").json() == {
        "status": "ok",
        "checks": {"database": "ok", "broker": "ok", "worker": "ok"},
    }


def test_without_broker_the_service_is_not_ready_but_the_api_is(settings: AppSettings) -> None:
    down = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with running(down) as service, service.client() as client:
        assert client.get("/readyz").json()["checks"]["broker"] == "failed"
        assert client.get("/readyz/api").json() == {"status": "ok", "checks": {"database": "ok"}}


def test_workers_are_listed_with_what_they_do(service: Running, client: httpx.Client) -> None:
    workers.seen(service.database, workers.Seen("w1", "training", "cpu"))
    job_id = job(client, ready_dataset(service, client))["id"]
    leases.claim(service.database, "training", "w1")
    shown = client.get("/workers").json()["data"]
    assert [(worker["id"], worker["lane"], worker["device"], worker["job"]) for worker in shown] == [
        ("w1", "training", "cpu", job_id)
    ]
    with service.user("ann") as ann:
        assert ann.get("/workers").json()["data"][0]["job"] is None


def test_metrics_count_requests_by_route_and_jobs_by_state(client: httpx.Client) -> None:
    dataset = upload_texts(client)
    job(client, dataset)
    for _ in range(3):
        client.get(f"/datasets/{dataset}")
    client.get("/none/of/ours")
    shown = client.get("/metrics")
    assert shown.headers["content-type"].startswith("text/plain")
    lines = shown.text.splitlines()
    counted = 'finetuned_http_requests_total{method="GET",route="/datasets/{dataset_id}",status="200"} 3.0'
    assert counted in lines
    assert 'finetuned_jobs{kind="fine_tune",state="queued"} 1.0' in lines
    assert 'finetuned_workers{lane="training"} 0.0' in lines
    assert dataset not in shown.text
    assert "/none/of/ours" not in shown.text
