"""Whatever a job does to its process, it ends in a terminal state with a reason (rows 22, 23, 24, 30)."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.rows import history, row
from tests.e2e import sets
from tests.e2e.service import Service, until


@pytest.fixture(scope="module")
def memory_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for the cgroup's counter of kills for memory."""
    file = tmp_path_factory.mktemp("cgroup") / "memory.events"
    file.write_text("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n")
    return file


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, memory_events: Path) -> Iterator[Service]:
    env = {"FINETUNED_STALL_TIMEOUT_SECONDS": "25", "FINETUNED_MEMORY_EVENTS": str(memory_events)}
    service = Service(tmp_path_factory.mktemp("service"), **env)
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture(scope="module")
def pictures(service: Service) -> str:
    return str(service.upload("pictures.zip", sets.picture_zip(8))["id"])


def ended(service: Service, dataset: str, module: str, strategy: str = "freeze", **training: Any) -> dict[str, Any]:
    job_id = service.post_job(dataset, f"plugin/{module}", strategy=strategy, training={"max_epochs": 2, **training})
    return service.finished(job_id, 120)


@pytest.mark.slow
def test_a_module_that_behaves_succeeds(service: Service, pictures: str) -> None:
    job = ended(service, pictures, "tiny")
    assert job["status"] == "succeeded", job["error"]


def test_an_exception_in_the_module_is_told(service: Service, pictures: str) -> None:
    job = ended(service, pictures, "raising")
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "internal_error", 1)
    assert "a bug in the module" in job["error"]["message"]


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_job_as_diverged(service: Service, pictures: str) -> None:
    job = ended(service, pictures, "not_a_number", strategy="full")
    assert (job["status"], job["error"]["code"]) == ("failed", "diverged")
    assert "head_lr" in job["error"]["message"]


@pytest.mark.slow
def test_a_hanging_job_ends_as_stalled(service: Service, pictures: str) -> None:
    job = ended(service, pictures, "hanging")
    assert (job["status"], job["error"]["code"]) == ("failed", "stalled")
    until(lambda: not service.job_processes(), 20, "no process is left of it")


@pytest.mark.slow
def test_a_poison_job_is_capped_and_others_go_on(service: Service, pictures: str) -> None:
    poison = service.post_job(pictures, "plugin/crashing")
    good = service.post_job(pictures, "plugin/tiny", training={"max_epochs": 1})
    job = service.finished(poison, 120)
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "crashed", 3)
    assert "SIGKILL" in job["error"]["message"]
    assert service.finished(good)["status"] == "succeeded"


@pytest.mark.slow
def test_a_device_without_memory_gets_half_batches_and_says_so(service: Service, pictures: str) -> None:
    job = ended(service, pictures, "hungry", strategy="full", batch_size=8)
    assert job["status"] == "succeeded", job["error"]
    told = history(service, job["id"])
    assert "1/2 batch" in told
    assert "1/4 batch, accumulating 4" in told
    assert job["attempt"] == 1
    assert job["config"]["training"]["batch_size"] == 8


@pytest.mark.slow
def test_a_device_too_small_for_one_example_is_told(service: Service, pictures: str) -> None:
    job = ended(service, pictures, "starving", batch_size=2)
    assert (job["status"], job["error"]["code"]) == ("failed", "out_of_memory")
    assert "smaller backbone" in job["error"]["message"]


@pytest.mark.slow
def test_a_child_that_the_kernel_kills_for_memory_ends_as_out_of_memory(
    service: Service, pictures: str, memory_events: Path
) -> None:
    job_id = service.post_job(pictures, "plugin/slow", strategy="full", training={"max_epochs": 100})
    for attempt in range(1, 4):

        def working(expected: int = attempt) -> bool:
            now = row(service, job_id)
            return now.attempt == expected and now.state == "running" and bool(service.job_processes())

        until(working, 60, f"attempt {attempt} works")
        memory_events.write_text(memory_events.read_text().replace(f"oom_kill {attempt - 1}", f"oom_kill {attempt}"))
        service.job_processes()[0].send_signal(signal.SIGKILL)
    job = service.finished(job_id)
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "out_of_memory", 3)
    assert "batch_size" in job["error"]["message"]
    job = ended(service, pictures, "tiny")
    assert job["status"] == "succeeded", job["error"]


@pytest.mark.slow
def test_a_failed_job_leaves_no_files_of_its_attempts(service: Service, pictures: str) -> None:
    job = ended(service, pictures, "raising")
    until(lambda: not (service.data_dir / "scratch" / job["id"]).exists(), 10, "its scratch folder is gone")
