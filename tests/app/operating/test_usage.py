"""What one has, and who sees it."""

import httpx

from tests.app.service import Running, upload_texts


def test_a_user_sees_its_own_sums_and_no_disk(service: Running, client: httpx.Client) -> None:
    upload_texts(client)
    with service.user("ann") as ann:
        upload_texts(ann)
        upload_texts(ann)
        shown = ann.get("/usage").json()
    (mine,) = shown["data"]
    assert (mine["owner"], mine["datasets"]["count"], mine["active_jobs"]) == ("ann", 2, 2)
    assert mine["stored_bytes"] == mine["datasets"]["bytes"] > 0
    assert shown["disk"] is None


def test_who_has_nothing_is_told_so_with_the_limits(service: Running) -> None:
    with service.user("ann") as ann:
        (mine,) = ann.get("/usage").json()["data"]
    assert (mine["stored_bytes"], mine["active_jobs"]) == (0, 0)
    assert mine["max_stored_bytes"] == service.settings.max_stored_bytes
    assert mine["max_active_jobs"] == service.settings.max_active_jobs


def test_an_admin_sees_every_owner_page_by_page(service: Running, client: httpx.Client) -> None:
    for owner in ("bob", "ann", "cy"):
        with service.user(owner) as user:
            upload_texts(user)
    first = client.get("/usage", params={"limit": 2}).json()
    second = client.get("/usage", params={"limit": 2, "after": first["data"][-1]["owner"]}).json()
    assert [one["owner"] for one in first["data"] + second["data"]] == ["ann", "bob", "cy"]
    assert (first["has_more"], second["has_more"]) == (True, False)


def test_an_admin_sees_the_bytes_on_disk_by_kind(service: Running, client: httpx.Client) -> None:
    before = client.get("/usage").json()["disk"]
    upload_texts(client)
    (service.settings.store_dir / "features" / "key").mkdir(parents=True)
    (service.settings.store_dir / "features" / "key" / "rows").write_bytes(b"x" * 1000)
    after = client.get("/usage").json()["disk"]
    assert before["uploads"] == 0 < after["uploads"]
    assert after["features"] - before["features"] == 1000
    assert set(after) == {
        *("datasets", "models", "trunks", "checkpoints", "features", "tensorboard", "weights"),
        *("uploads", "scratch"),
    }
