import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models_store import datasets, jobs, leases
from models_store.database.tables import DatasetRow, Json
from tests.app.service import (
    Running,
    assert_problem,
    claimed,
    failed_dataset,
    job,
    ready_dataset,
    running,
    until,
    upload_texts,
)

CSV = b"text,label\ndull,bad\na joy,good\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


def _post(client: httpx.Client, filename: str = "films.csv", content: bytes = CSV, **more: Any) -> httpx.Response:
    return client.post("/datasets", files={"file": (filename, content)}, **more)


def _uploads(service: Running) -> list[Path]:
    return list(service.settings.uploads_dir.iterdir())


def test_an_upload_is_accepted_and_kept_for_its_import(service: Running, client: httpx.Client) -> None:
    form = {"name": "films", "task": "text-classification", "validation_fraction": "0.5", "seed": "3"}
    form["split"] = "grouped"
    answer = _post(client, data=form)
    assert answer.status_code == 202
    shown = answer.json()
    assert answer.headers["location"] == f"/datasets/{shown['id']}"
    assert (shown["status"], shown["name"], shown["task"]) == ("processing", "films", "text-classification")
    with service.database.read() as session:
        row = session.get_one(DatasetRow, shown["id"])
    assert row.options == {
        "filename": "films.csv",
        "task": "text-classification",
        "validation_fraction": 0.5,
        "seed": 3,
        "split": "grouped",
    }
    assert [path.name for path in _uploads(service)] == [row.upload]
    assert _uploads(service)[0].read_bytes() == CSV
    assert claimed(service, "light").kind == jobs.IMPORT


def test_the_name_is_the_files_unless_another_is_given(client: httpx.Client) -> None:
    assert _post(client, "my films.csv").json()["name"] == "my films"


@pytest.mark.parametrize("filename", ["../../etc/x.csv", "C:\\dir\\x.csv", "/x.csv", "x.csv"])
def test_a_files_name_is_never_a_path(service: Running, client: httpx.Client, filename: str) -> None:
    shown = _post(client, filename).json()
    with service.database.read() as session:
        assert session.get_one(DatasetRow, shown["id"]).options["filename"] == "x.csv"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"status": "ready"}, "status"),
        ({"owner": "ann"}, "owner"),
        ({"task": "audio"}, "task"),
        ({"validation_fraction": "1"}, "validation_fraction"),
        ({"validation_fraction": "nan"}, "validation_fraction"),
        ({"seed": "x"}, "seed"),
        ({"split": "random"}, "split"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_wrong_and_unknown_fields_are_refused(
    service: Running, client: httpx.Client, form: dict[str, str], field: str
) -> None:
    content = assert_problem(_post(client, data=form), 422, "validation_error")
    assert [error["loc"] for error in content["errors"]] == [["body", field]]
    assert not _uploads(service)


@pytest.mark.parametrize("filename", ["films.xlsx", "films", "films.csv.exe"])
def test_a_file_of_another_kind_is_refused(client: httpx.Client, filename: str) -> None:
    assert_problem(_post(client, filename), 422, "unsupported_file")


def test_a_form_without_file_is_refused(client: httpx.Client) -> None:
    answer = client.post("/datasets", files={"name": (None, "films")})
    assert_problem(answer, 422, "missing_file")


def test_json_instead_of_a_form_is_refused(client: httpx.Client) -> None:
    assert_problem(client.post("/datasets", json={"name": "x"}), 422, "multipart_expected")


def test_two_files_are_refused(client: httpx.Client) -> None:
    answer = client.post("/datasets", files=[("file", ("a.csv", CSV)), ("file", ("b.csv", CSV))])
    assert_problem(answer, 422, "duplicate_field")


def test_a_form_of_a_thousand_parts_is_refused(service: Running, client: httpx.Client) -> None:
    parts = [(f"f{number}", (None, "x")) for number in range(1001)]
    assert_problem(client.post("/datasets", files=parts), 413, "too_many_parts")
    assert not _uploads(service)


def test_a_form_that_is_cut_off_is_refused(service: Running, client: httpx.Client) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\ntext,la'
    answer = client.post("/datasets", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert_problem(answer, 422, "malformed_multipart")
    assert not _uploads(service)


def test_the_same_key_and_body_give_the_same_data_set(service: Running, client: httpx.Client) -> None:
    key = {"Idempotency-Key": "k1"}
    first = _post(client, headers=key, data={"name": "a"})
    second = _post(client, headers=key, data={"name": "a"})
    assert first.json()["id"] == second.json()["id"]
    assert len(_uploads(service)) == 1


@pytest.mark.parametrize(("content", "name"), [(CSV + b"x,y\n", "a"), (CSV, "b")])
def test_the_same_key_with_another_file_or_field_is_refused(client: httpx.Client, content: bytes, name: str) -> None:
    key = {"Idempotency-Key": "k1"}
    _post(client, headers=key, data={"name": "a"})
    answer = _post(client, content=content, headers=key, data={"name": name})
    assert_problem(answer, 422, "idempotency_mismatch")


def test_problems_and_warnings_are_shown_apart(service: Running, client: httpx.Client) -> None:
    dataset_id = ready_dataset(service, client)
    entries = [{"item": name, "code": f"code_{name}", "message": f"About {name}."} for name in ("a", "b")]
    assert client.get(f"/datasets/{dataset_id}").json()["warnings"] == []
    with service.database.write() as session:
        datasets.mark_ready(session, dataset_id, problems=entries[:1], warnings=entries[1:])
    shown = client.get(f"/datasets/{dataset_id}").json()
    assert (shown["problems"], shown["warnings"]) == (entries[:1], entries[1:])


def test_waiting_gives_201_when_the_import_is_over(service: Running, client: httpx.Client) -> None:
    def ready(session: Session) -> Json:
        row = session.scalars(select(DatasetRow)).one()
        datasets.mark_ready(session, row.id)
        return {"dataset": row.id}

    def import_it() -> None:
        until(lambda: client.get("/datasets").json()["data"])
        leases.succeed(service.database, claimed(service, "light"), ready)

    worker = threading.Thread(target=import_it)
    worker.start()
    answer = _post(client, headers={"Prefer": "wait=20"})
    worker.join()
    assert (answer.status_code, answer.json()["status"]) == (201, "ready")
    assert answer.headers["preference-applied"] == "wait=20"


def test_lists_are_newest_first_and_paged(client: httpx.Client) -> None:
    made = [upload_texts(client) for _ in range(3)]
    first = client.get("/datasets", params={"limit": 2}).json()
    assert [item["id"] for item in first["data"]] == [made[2], made[1]]
    assert first["has_more"] is True
    rest = client.get("/datasets", params={"limit": 2, "after": made[1]}).json()
    assert ([item["id"] for item in rest["data"]], rest["has_more"]) == ([made[0]], False)


def test_items_are_listed_by_split_and_label(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    everything = client.get(f"/datasets/{dataset}/items").json()
    assert [item["label"] for item in everything["data"]] == ["bad", "good", "bad", "good"]
    one = client.get(f"/datasets/{dataset}/items", params={"split": "validation", "label": "good"}).json()
    assert one == {
        "data": [{"id": "3", "name": "4", "label": "good", "split": "validation", "text": "a joy"}],
        "has_more": False,
    }


def test_items_are_paged(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    first = client.get(f"/datasets/{dataset}/items", params={"limit": 3}).json()
    rest = client.get(f"/datasets/{dataset}/items", params={"after": first["data"][-1]["id"]}).json()
    assert (len(first["data"]), first["has_more"], len(rest["data"]), rest["has_more"]) == (3, True, 1, False)


def test_the_content_of_an_image_cannot_run_in_a_browser(service: Running, client: httpx.Client) -> None:
    examples = (("train", "a", "evil.html", b"<script>1</script>"), ("train", "a", "x.png", PNG))
    dataset = ready_dataset(service, client, examples, task="image-classification")
    html, png = (client.get(f"/datasets/{dataset}/items/{item}/content") for item in (0, 1))
    assert html.headers["content-type"] == "application/octet-stream"
    assert (png.headers["content-type"], png.content) == ("image/png", PNG)
    for answer in (html, png):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]


def test_the_content_of_a_text_is_plain(service: Running, client: httpx.Client) -> None:
    answer = client.get(f"/datasets/{ready_dataset(service, client)}/items/1/content")
    assert (answer.headers["content-type"], answer.text) == ("text/plain; charset=utf-8", "a film that stays")


@pytest.mark.parametrize("item", ["99", "x", "-1", "%2e%2e"])
def test_an_unknown_item_is_told_so(service: Running, client: httpx.Client, item: str) -> None:
    answer = client.get(f"/datasets/{ready_dataset(service, client)}/items/{item}/content")
    assert_problem(answer, 404, "item_not_found")


def test_a_data_set_that_is_not_ready_has_no_items(client: httpx.Client) -> None:
    assert_problem(client.get(f"/datasets/{upload_texts(client)}/items"), 409, "dataset_not_ready")


def test_a_failed_import_tells_why(service: Running, client: httpx.Client) -> None:
    shown = client.get(f"/datasets/{failed_dataset(service, client)}").json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "too_few_items")


def test_a_deleted_data_set_is_gone(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    assert client.delete(f"/datasets/{dataset}").status_code == 204
    assert_problem(client.get(f"/datasets/{dataset}"), 404, "dataset_not_found")


def test_a_data_set_in_use_stays(service: Running, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    job(client, dataset)
    assert_problem(client.delete(f"/datasets/{dataset}"), 409, "dataset_in_use")


@pytest.mark.parametrize("path", ["", "/items", "/items/0/content"])
def test_another_owners_data_set_does_not_exist(service: Running, client: httpx.Client, path: str) -> None:
    with service.user("ann") as ann, service.user("bob") as bob:
        dataset = ready_dataset(service, ann)
        assert_problem(bob.get(f"/datasets/{dataset}{path}"), 404, "dataset_not_found")
        assert bob.get("/datasets").json()["data"] == []
        assert_problem(bob.delete(f"/datasets/{dataset}"), 404, "dataset_not_found")
    assert client.get(f"/datasets/{dataset}{path}").status_code == 200, "an admin sees everybody's"


def test_uploads_that_a_crash_left_are_removed_at_the_next_start(service: Running, client: httpx.Client) -> None:
    upload_texts(client)
    named = _uploads(service)
    (service.settings.uploads_dir / "up_leftover").write_bytes(b"x")
    with running(service.settings):
        assert _uploads(service) == named
