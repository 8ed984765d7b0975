import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import select

from models_store import jobs, workers
from models_store.database.engine import Database
from models_store.database.tables import JobRow
from tests.app.service import Running, assert_problem, job, ready_dataset, until
from tests.app.web.conftest import Site, signed_in

SQUEEZENET = "torchvision/squeezenet1_1"


def _ids(text: str) -> list[str]:
    return re.findall(r'id="row-(job_\w+)"', text)


def _many(database: Database, count: int, dataset: str) -> None:
    new = jobs.NewJob(kind=jobs.FINE_TUNE, owner="admin", name="one of many", dataset_id=dataset, backbone="b")
    with database.write() as session:
        for _ in range(count):
            jobs.insert(session, new)


def test_a_thousand_jobs_are_paged_through(service: Running, browser: httpx.Client, client: httpx.Client) -> None:
    _many(service.database, 1_000, ready_dataset(service, client))
    answer = browser.get("/ui/jobs")
    assert len(answer.content) < 150_000
    assert answer.elapsed.total_seconds() < 3
    seen = _ids(answer.text)
    address = re.search(r'hx-get="([^"]+)" hx-target="closest tr"', answer.text)
    while address is not None:
        text = browser.get(address[1]).text
        seen += _ids(text)
        address = re.search(r'hx-get="([^"]+)" hx-target="closest tr"', text)
    assert len(seen) == len(set(seen)) == 1_000


def test_jobs_are_filtered_by_state_and_data_set_and_the_filter_stays(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    one, other = ready_dataset(service, client), ready_dataset(service, client)
    cancelled, queued, elsewhere = (job(client, dataset)["id"] for dataset in (one, one, other))
    client.post(f"/jobs/{cancelled}/cancel")
    assert _ids(browser.get(f"/ui/jobs?dataset={one}").text) == [queued, cancelled]
    text = browser.get(f"/ui/jobs?status=queued&dataset={one}").text
    assert _ids(text) == [queued]
    assert f'data-live="/ui/jobs/live?status=queued&amp;dataset={one}"' in text
    assert _ids(browser.get("/ui/jobs?status=queued").text) == [elsewhere, queued]
    assert browser.get("/ui/jobs?status=nonsense").status_code == 422


def test_a_running_job_can_be_cancelled_and_shows_its_progress(site: Site) -> None:
    text = site.browser.get(f"/ui/jobs/{site.content.running}").text
    assert '<progress id="progress"' in text
    assert f'hx-post="/ui/jobs/{site.content.running}/cancel"' in text
    ended = site.browser.get(f"/ui/jobs/{site.content.ended}").text
    assert '<progress id="progress"' not in ended
    assert "weights_unavailable" in ended
    assert "/retry" in ended


def test_a_job_is_cancelled_started_again_and_deleted(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    first = job(client, ready_dataset(service, client), name="the first")["id"]
    cancelled = browser.post(f"/ui/jobs/{first}/cancel")
    assert 'data-status="cancelled"' in cancelled.text
    again = browser.post(f"/ui/jobs/{first}/retry").headers["hx-redirect"]
    assert again != f"/ui/jobs/{first}"
    assert "the first" in browser.get(again).text
    refused = browser.delete(again, headers={"HX-Request": "true"})
    assert "job_active" in refused.headers["hx-trigger"]
    assert browser.delete(f"/ui/jobs/{first}").headers["hx-redirect"] == "/ui/jobs"
    assert_problem(client.get(f"/jobs/{first}"), 404, "job_not_found")


def test_a_job_whose_data_set_is_gone_is_still_shown(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    dataset = ready_dataset(service, client)
    made = job(client, dataset)["id"]
    client.post(f"/jobs/{made}/cancel")
    client.delete(f"/datasets/{dataset}")
    assert browser.get(f"/ui/jobs/{made}").status_code == 200


def test_the_form_starts_the_job_that_it_describes(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    dataset = ready_dataset(service, client)
    form = {
        "dataset": dataset,
        "backbone": "hf/tests/none main",
        "search": "none",
        "strategy": "full",
        "name": " films ",
        "max_epochs": "7",
        "batch_size": "16",
        "head_lr": "0.01",
        "patience": "0",
        "precision": "32",
        "scheduler": "linear",
        "seed": "",
    }
    address = browser.post("/ui/jobs/new", data=form).headers["hx-redirect"]
    made = client.get(address.removeprefix("/ui")).json()
    config = made["config"]
    assert (made["name"], made["backbone"], config["weights"]) == ("films", "hf/tests/none", "main")
    wanted = {"max_epochs": 7, "batch_size": 16, "head_lr": 0.01, "early_stopping": None, "scheduler": "linear"}
    assert {name: config["training"][name] for name in wanted} == wanted
    assert (config["strategy"], config["training"]["seed"], config["training"]["precision"]) == ("full", 0, "32")


def test_a_field_that_is_wrong_is_told_beside_the_form(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    form = {"dataset": ready_dataset(service, client), "backbone": "hf/tests/none", "max_epochs": "many"}
    answer = browser.post("/ui/jobs/new", data=form, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "max_epochs" in answer.headers["hx-trigger"]
    assert answer.headers["hx-reswap"] == "none"


def test_the_decision_is_told_before_the_job_is_started(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    form = {"dataset": ready_dataset(service, client), "backbone": "hf/tests/none"}
    text = browser.post("/ui/jobs/new/preflight", data=form).text
    assert "Frozen backbone" in text
    assert 'data-measure="/ui/jobs/new/measure"' in text
    assert "No worker is free" in browser.post("/ui/jobs/new/measure", data=form).text
    assert client.get("/jobs").json()["data"] == []


def test_what_cannot_be_is_told_before_the_job_is_started(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    form = {"dataset": ready_dataset(service, client), "backbone": SQUEEZENET}
    for address in ("/ui/jobs/new/preflight", "/ui/jobs/new/measure"):
        assert "task_mismatch" in browser.post(address, data=form).text


def test_backbones_of_the_data_sets_task_are_found_by_name(site: Site) -> None:
    images = site.browser.get(f"/ui/jobs/new/backbones?dataset={site.content.images}&search=squeezenet1_1").text
    assert f'value="{SQUEEZENET}' in images
    texts = site.browser.get(f"/ui/jobs/new/backbones?dataset={site.content.texts}&search=squeezenet1_1").text
    assert SQUEEZENET not in texts
    typed = site.browser.get(f"/ui/jobs/new/backbones?dataset={site.content.texts}&search=hf/some/one").text
    assert 'value="hf/some/one"' in typed


def test_an_empty_service_says_what_to_do_first(browser: httpx.Client) -> None:
    home = browser.get("/").text
    assert "Getting started" in home
    assert 'href="/ui/datasets"' in home
    assert "No worker was seen lately" in home
    assert 'href="/ui/datasets"' in browser.get("/ui/jobs/new").text


def test_the_start_page_shows_how_things_stand(site: Site) -> None:
    home = site.browser.get("/").text
    assert f"/ui/jobs/{site.content.running}" in home
    assert f"/ui/datasets/{site.content.texts}" in home
    workers = site.browser.get("/ui/workers").text
    assert f"/ui/jobs/{site.content.running}" in workers


def test_a_measurement_that_nobody_waits_for_any_more_leaves_the_worker_to_the_job(
    service: Running, client: httpx.Client
) -> None:
    form = {"dataset": ready_dataset(service, client), "backbone": "hf/tests/none"}
    workers.seen(service.database, workers.Seen("one:training", "training", "cpu"))

    def measuring() -> bool:
        with service.database.read() as session:
            return session.scalar(select(JobRow.id).where(JobRow.kind == jobs.PREFLIGHT)) is not None

    with ThreadPoolExecutor() as pool, signed_in(service) as impatient:
        asked = pool.submit(impatient.post, "/ui/jobs/new/measure", data=form, timeout=3)
        until(measuring, 10, "it is measured")
        with pytest.raises(httpx.ReadTimeout):
            asked.result()
    until(lambda: not measuring(), 10, "the measurement was taken back")
