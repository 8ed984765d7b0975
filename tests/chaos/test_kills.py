"""Whatever is killed, a job resumes and ends as if nothing had happened (rows 1 to 5 of the fault matrix)."""

import signal
from collections.abc import Callable

import psutil
import pytest

from models_store.mirror import Mirror
from tests.chaos.rows import history, row
from tests.e2e import sets, weights
from tests.e2e.conftest import MINILM
from tests.e2e.service import Service, until

SQUEEZENET = "torchvision/squeezenet1_1"
LONG = {"max_epochs": 200, "early_stopping": None, "batch_size": 4}


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    """Running, with one thread a process so that results are the same to the bit, and frequent checkpoints."""
    service = make_service(OMP_NUM_THREADS="1", FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2")
    return service.start()


def long_job(service: Service) -> str:
    """A job that trains for some five seconds, in its training phase, with a checkpoint."""
    dataset = service.upload("pictures.zip", sets.picture_zip(6))["id"]
    job_id = service.post_job(dataset, SQUEEZENET, weights=None, strategy="freeze", training=LONG)
    until(lambda: row(service, job_id).checkpoint, 60, "the job has a checkpoint")
    return job_id


def resumed_and_done(service: Service, job_id: str, attempts: int) -> None:
    job = service.finished(job_id, 120)
    assert (job["status"], job["attempt"]) == ("succeeded", attempts), job["error"]
    assert len(service.client.get("/models").json()["data"]) == 1
    until(lambda: not service.job_processes(), 20, "no child is left")


def running_again(service: Service, job_id: str, attempt: int) -> None:
    def again() -> bool:
        now = row(service, job_id)
        return now.state in {"running", "succeeded"} and now.attempt == attempt

    until(again, 30, f"attempt {attempt} runs")


def test_a_job_whose_child_is_killed_resumes_within_30_seconds(service: Service) -> None:
    job_id = long_job(service)
    (child,) = service.job_processes()
    child.kill()
    running_again(service, job_id, attempt=2)
    resumed_and_done(service, job_id, attempts=2)
    epochs = [event["data"]["epoch"] for event in service.events(job_id) if event["type"] == "metrics"]
    assert len(epochs) <= LONG["max_epochs"] + 2, "at most one checkpoint interval was done twice"  # type: ignore[operator]


@pytest.mark.slow
def test_a_job_whose_pool_process_is_killed_resumes_and_leaves_no_orphan(service: Service) -> None:
    job_id = long_job(service)
    (child,) = service.job_processes()
    pool = child.parent()
    assert pool is not None
    pool.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 5, "the trainer died with it")
    running_again(service, job_id, attempt=2)
    resumed_and_done(service, job_id, attempts=2)


@pytest.mark.slow
def test_a_job_whose_whole_worker_is_killed_resumes_on_the_next_worker(service: Service) -> None:
    job_id = long_job(service)
    service.kill_tree("worker")
    service.start_worker()
    running_again(service, job_id, attempt=2)
    resumed_and_done(service, job_id, attempts=2)


@pytest.mark.slow
def test_a_launcher_that_is_killed_leaves_no_process_behind(service: Service) -> None:
    long_job(service)
    family = psutil.Process(service.pid("worker")).children(recursive=True)
    assert len(family) >= 4
    service.end("worker", signal.SIGKILL)
    until(lambda: not [one for one in family if one.is_running()], 10, "all processes of the worker are gone")


def test_a_job_of_a_worker_that_is_stopped_goes_back_to_the_queue_and_spends_no_attempt(service: Service) -> None:
    job_id = long_job(service)
    assert service.end("worker", signal.SIGTERM, seconds=30) == 0
    stopped = row(service, job_id)
    assert (stopped.state, stopped.attempt) == ("queued", 0), stopped.error
    assert (stopped.checkpoint or {})["kept"]
    service.start_worker()
    resumed_and_done(service, job_id, attempts=1)


@pytest.mark.slow
def test_an_attempt_that_was_frozen_past_its_lease_can_write_nothing(service: Service) -> None:
    job_id = long_job(service)
    (child,) = service.job_processes()
    pool = child.parent()
    assert pool is not None
    for process in (pool, child):
        process.suspend()
    service.start_worker("second worker")
    running_again(service, job_id, attempt=2)
    fence = row(service, job_id).fence
    for process in (child, pool):
        process.resume()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 20, "the stale attempt ends")
    assert row(service, job_id).fence == fence
    resumed_and_done(service, job_id, attempts=2)


def published_bytes(service: Service, job_id: str) -> tuple[bytes, str]:
    """The head's file and the trunk's hash of the model that a job published."""
    job = service.finished(job_id, 300)
    assert job["status"] == "succeeded", job["error"]
    folder = service.data_dir / "store" / "models" / job["model"]
    model = service.client.get(f"/models/{job['model']}").json()
    return (folder / "head.safetensors").read_bytes(), model["freeze_proof"]["backbone_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["freeze", "full"])
def test_a_job_that_was_killed_ends_with_the_same_weights_to_the_bit(service: Service, strategy: str) -> None:
    """MiniLM in full training draws dropout at every step, so any slip in the random state would show."""
    Mirror(service.data_dir / "store").add(MINILM, "DEFAULT", weights.minilm())
    dataset = service.upload("sentences.csv", sets.sentence_csv(40))["id"]
    epochs = {"freeze": 300, "full": 3}[strategy]
    training = {"max_epochs": epochs, "early_stopping": None, "batch_size": 4}
    whole = service.post_job(dataset, MINILM, strategy=strategy, training=training)
    expected = published_bytes(service, whole)
    broken = service.post_job(dataset, MINILM, strategy=strategy, training=training)
    for kill in range(1, 4):
        seen = (row(service, broken).checkpoint or {"kept": [{"step": 0}]})["kept"][0]["step"]

        def moved(before: int = seen) -> bool:
            return bool((row(service, broken).checkpoint or {"kept": [{"step": 0}]})["kept"][0]["step"] > before)

        until(moved, 60, "a newer checkpoint")
        for child in service.job_processes():
            child.kill()
        running_again(service, broken, attempt=kill + 1)
    assert published_bytes(service, broken) == expected
    assert "resumed" in history(service, broken)
