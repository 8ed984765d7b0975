import re
from collections.abc import Callable

import httpx

from app.datasets.schemas import Dataset
from models_store.database.tables import DatasetRow
from tests.app.service import Example, Running, assert_problem, job, ready_dataset, upload_texts
from tests.app.web.conftest import Site
from tests.app.web.content import described, picture


def _pictures(text: str) -> list[str]:
    return re.findall(r'<img src="/datasets/[^/]+/items/(\d+)/content"', text)


def _next(text: str) -> str | None:
    """Where the rest of a list is."""
    found = re.search(r'class="[^"]*pager"><[^>]*hx-get="([^"]+)"|hx-get="([^"]+)" hx-target="closest tr"', text)
    return None if found is None else (found[1] or found[2]).replace("&amp;", "&")


def test_the_list_goes_on_where_it_stopped(browser: httpx.Client, client: httpx.Client) -> None:
    made = [upload_texts(client) for _ in range(33)]
    text = browser.get("/ui/datasets").text
    following = _next(text)
    assert following is not None
    rest = browser.get(following).text
    assert [one in text for one in made] == [False] * 3 + [True] * 30
    assert [one in rest for one in made] == [True] * 3 + [False] * 30
    assert _next(rest) is None


def test_a_class_shows_some_items_and_all_on_a_page_of_its_own(site: Site) -> None:
    address = f"/ui/datasets/{site.content.images}"
    assert len(_pictures(site.browser.get(address).text)) == 8
    first = site.browser.get(f"{address}/samples?label=a").text
    following = _next(first)
    assert following is not None
    numbers = _pictures(first) + _pictures(site.browser.get(following).text)
    assert numbers == [str(number) for number in range(70)]
    assert _pictures(site.browser.get(f"{address}/samples?label=a&split=test").text) == []
    assert _pictures(site.browser.get(f"{address}/samples?label=nothing").text) == []


def test_classes_come_a_few_at_a_time(service: Running, browser: httpx.Client, client: httpx.Client) -> None:
    examples: tuple[Example, ...] = tuple(("train", f"class-{n:03d}", "x.png", picture(n)) for n in range(30))
    dataset = ready_dataset(service, client, examples, "image-classification")
    described(service, dataset, examples)
    shown: list[str] = []
    address: str | None = f"/ui/datasets/{dataset}/classes"
    while address is not None:
        text = browser.get(address).text
        assert len(_pictures(text)) <= 12
        shown += re.findall(r"<h3>(class-\d+)</h3>", text)
        address = _next(text)
    assert shown == [f"class-{n:03d}" for n in range(30)]


def test_every_problem_can_be_reached(service: Running, browser: httpx.Client, client: httpx.Client) -> None:
    dataset = ready_dataset(service, client)
    problems = [{"item": f"{n}.jpg", "code": "unreadable_image", "message": "No."} for n in range(120)]
    described(service, dataset, (), problems=problems)
    text = browser.get(f"/ui/datasets/{dataset}").text
    assert ">120</span>" in text
    seen: list[str] = []
    address: str | None = f"/ui/datasets/{dataset}/problems"
    while address is not None:
        part = browser.get(address).text
        seen += re.findall(r"<code>(\d+\.jpg)</code>", part)
        address = _next(part)
    assert seen == [f"{n}.jpg" for n in range(120)]


def test_what_an_import_failed_with_is_told(site: Site) -> None:
    text = site.browser.get(f"/ui/datasets/{site.content.failed}").text
    assert "too_few_items" in text
    assert f"/ui/jobs/new?dataset={site.content.failed}" not in text


def test_a_data_set_is_deleted_and_one_in_use_is_not(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    used, free = ready_dataset(service, client), ready_dataset(service, client)
    job(client, used)
    refused = browser.delete(f"/ui/datasets/{used}", headers={"HX-Request": "true"})
    assert (refused.status_code, refused.headers["hx-reswap"]) == (409, "none")
    assert "dataset_in_use" in refused.headers["hx-trigger"]
    assert browser.delete(f"/ui/datasets/{free}").headers["hx-redirect"] == "/ui/datasets"
    assert_problem(client.get(f"/datasets/{free}"), 404, "dataset_not_found")


def test_an_upload_of_the_page_is_the_apis(browser: httpx.Client, browser_of: Callable[[str], httpx.Client]) -> None:
    files = {"file": ("films.csv", b"text,label\ndull,bad\na joy,good\n")}
    answer = browser_of("ann").post("/datasets", files=files, data={"name": "films", "split": "grouped"})
    assert Dataset.model_validate(answer.json()).name == "films"
    assert "films" in browser.get("/ui/datasets").text


def test_a_hundred_thousand_items_are_looked_at_a_few_at_a_time(
    service: Running, browser: httpx.Client, client: httpx.Client
) -> None:
    examples = tuple(("train", f"class-{n:02d}", f"{m:06d}", b"x") for n in range(50) for m in range(2_000))
    dataset = ready_dataset(service, client, examples, "image-classification")
    described(service, dataset, examples)
    with service.database.write() as session:
        session.get_one(DatasetRow, dataset).problems = [
            {"item": f"{n}", "code": "unreadable_image", "message": "This picture cannot be read."}
            for n in range(100_000)
        ]
    for address in ("", "/classes?start=36", "/samples?label=class-49&start=1900", "/problems?start=99990"):
        answer = browser.get(f"/ui/datasets/{dataset}{address}")
        assert answer.status_code == 200
        assert len(answer.content) < 150_000, address
        assert answer.elapsed.total_seconds() < 5, address
    last = re.findall(r"/items/(\d+)/content", browser.get(f"/ui/datasets/{dataset}/samples?label=class-49").text)
    assert int(last[0]) == 98_000
