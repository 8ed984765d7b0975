"""Disks that are full, elsewhere, read-only or lying (rows 18 to 21), on small file systems of the worker's own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.rows import history, row
from tests.e2e import sets
from tests.e2e.service import ROOT, Service, until

LONG = {"max_epochs": 1000, "batch_size": 4, "early_stopping": None}


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    """Broker and API; the test starts the worker."""
    service = make_service(FINETUNED_CHECKPOINT_INTERVAL_SECONDS="0.2")
    service.start_broker()
    service.migrate()
    service.start_api()
    return service


def tmpfs(folder: Path, size: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return [f"mount -t tmpfs -o size={size} tmpfs {folder}"]


def posted(service: Service, **training: object) -> str:
    dataset = service.upload("pictures.zip", sets.picture_zip(10))["id"]
    return service.post_job(dataset, "plugin/tiny", strategy="full", training=training)


def with_checkpoint(service: Service, job_id: str) -> None:
    until(lambda: (row(service, job_id).checkpoint or {}).get("kept"), 60, "the job has a checkpoint")


def fill(folder: Path) -> None:
    """Leave no room on the folder's file system."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(os.urandom(4096))
            except OSError:
                return


@pytest.mark.slow
def test_a_job_on_a_full_disk_fails_with_that_reason(service: Service) -> None:
    scratch = service.data_dir / "scratch"
    service.start_worker(mounts=tmpfs(scratch, "8m"))
    job_id = posted(service, **LONG)
    with_checkpoint(service, job_id)
    fill(service.inside(scratch))
    job = service.finished(job_id, 60)
    assert (job["status"], job["error"]["code"]) == ("failed", "no_space")
    assert "Free some space" in job["error"]["message"]


WRITE_UNTIL_FULL = """
import sys, torch
from pathlib import Path
from worker.training.checkpointing import AtomicCheckpointIO
folder = Path(sys.argv[1])
writer = AtomicCheckpointIO()
written = 0
try:
    while True:
        checkpoint = {"number": written, "tensor": torch.full((300_000,), float(written))}
        writer.save_checkpoint(checkpoint, folder / f"{written}.ckpt")
        written += 1
except OSError as error:
    assert error.errno == 28, error
for number in range(written):
    read = writer.load_checkpoint(folder / f"{number}.ckpt")
    assert read["number"] == number and bool((read["tensor"] == number).all())
assert sorted(path.name for path in folder.iterdir()) == sorted(f"{number}.ckpt" for number in range(written))
print("intact", written)
"""


def test_checkpoints_that_were_written_before_the_disk_was_full_stay_valid(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=8m tmpfs {tmp_path} && exec "$0" "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    run = subprocess.run(
        [*command, sys.executable, "-c", WRITE_UNTIL_FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("intact ")
    assert int(run.stdout.split()[1]) >= 3


@pytest.mark.slow
def test_a_full_temporary_folder_on_another_device_harms_no_job(service: Service) -> None:
    elsewhere = service.folder / "tmp"
    service.env["TMPDIR"] = str(elsewhere)
    mounts = [*tmpfs(elsewhere, "64k"), f"dd if=/dev/zero of={elsewhere}/ballast bs=1k count=60 2>/dev/null"]
    service.start_worker(mounts=mounts)
    job = service.finished(posted(service, max_epochs=3), 90)
    assert job["status"] == "succeeded", job["error"]


@pytest.mark.slow
def test_a_read_only_model_directory_fails_the_job_with_that_reason(service: Service) -> None:
    models = service.data_dir / "store" / "models"
    models.mkdir(parents=True)
    service.start_worker(mounts=[f"mount --bind {models} {models}", f"mount -o remount,ro,bind {models}"])
    job = service.finished(posted(service, max_epochs=1), 90)
    assert (job["status"], job["error"]["code"]) == ("failed", "read_only")
    assert service.client.get("/models").json()["data"] == []


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_passed_over_and_the_job_says_so(service: Service, damage: str) -> None:
    service.start_worker()
    job_id = posted(service, **{**LONG, "max_epochs": 150})
    until(lambda: len((row(service, job_id).checkpoint or {}).get("kept", [])) == 2, 60, "two checkpoints")
    service.end("worker", signal.SIGTERM)
    newest = Path((row(service, job_id).checkpoint or {})["kept"][0]["path"])
    content = newest.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    newest.write_bytes({"truncated": content[:middle], "flipped": flipped}[damage])
    service.start_worker()
    job = service.finished(job_id, 120)
    assert job["status"] == "succeeded", job["error"]
    told = history(service, job_id)
    assert "is damaged; falling back" in told
    assert "resumed from the checkpoint" in told
