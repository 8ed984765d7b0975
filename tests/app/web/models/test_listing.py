"""The list of models, in parts."""

import re
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import insert

from models_store import aliases, ids
from models_store.database.tables import ModelRow
from models_store.keys import ADMIN, Caller
from tests.app.service import Running
from tests.app.web.pages import hrefs, words

_ADMIN = Caller("admin", ADMIN)


def _models(service: Running, count: int, name: str = "insects", owner: str = "admin") -> list[str]:
    """Rows of published models, oldest first; their files are not looked at by lists."""
    rows = [
        {
            "id": ids.new("mdl"),
            "owner": owner,
            "name": name,
            "version": version,
            "job_id": ids.new("job"),
            "dataset_id": "ds_1",
            "task": "image-classification",
            "backbone": "torchvision/squeezenet1_1",
            "trunk": "t",
            "card": {"labels": ["a", "b"], "metrics": {"val_accuracy": 0.875}, "preprocessing": {}},
            "bytes": 1,
            "created_at": float(version),
        }
        for version in range(1, count + 1)
    ]
    rows.sort(key=lambda row: str(row["id"]))
    with service.database.write() as session:
        session.execute(insert(ModelRow), rows)
    return [str(row["id"]) for row in rows]


def _shown(answer: httpx.Response) -> list[str]:
    return re.findall(r'href="/ui/models/(mdl_\w+)"', answer.text)


def test_without_models_the_page_says_what_to_do_next(browser: httpx.Client) -> None:
    answer = browser.get("/ui/models")
    assert "No models yet" in words(answer)
    assert "/ui/jobs/new" in hrefs(answer)


def test_a_row_tells_name_version_aliases_and_accuracy(service: Running, browser: httpx.Client) -> None:
    (model_id,) = _models(service, 1, name='<b>"&')
    aliases.move(service.database, model_id, "production", caller=_ADMIN)
    assert '<b>"& v1 production 87.5% Images torchvision/squeezenet1_1 admin' in words(browser.get("/ui/models"))


def test_a_thousand_models_come_in_parts_and_none_is_left_out(service: Running, browser: httpx.Client) -> None:
    everything = _models(service, 1000)
    answer = browser.get("/ui/models")
    assert len(answer.content) < 100_000
    seen = _shown(answer)
    browser.headers["HX-Request"] = "true"
    while following := [href for href in hrefs(answer) if "after=" in href]:
        answer = browser.get(following[0])
        assert "<html" not in answer.text, "rows alone, for the table that is there"
        seen += _shown(answer)
    assert seen == everything[::-1]


def test_versions_of_one_name_can_be_listed(service: Running, browser: httpx.Client) -> None:
    _models(service, 3, name="other")
    mine = _models(service, 60, name="a & b")
    answer = browser.get("/ui/models", params={"name": "a & b"})
    following = next(href for href in hrefs(answer) if "after=" in href)
    assert _shown(answer) + _shown(browser.get(following)) == mine[::-1]
    assert "No model of this name" in words(browser.get("/ui/models", params={"name": "a"}))


def test_users_see_their_own_models(
    service: Running, browser_of: Callable[[str], httpx.Client], browser: httpx.Client
) -> None:
    theirs = _models(service, 1, owner="ann")
    _models(service, 2, name="others")
    assert _shown(browser_of("ann").get("/ui/models")) == theirs
    assert len(_shown(browser.get("/ui/models"))) == 3


@pytest.mark.parametrize(("language", "title"), [("en", "Models"), ("ko", "모델")])
def test_the_page_speaks_the_readers_language(browser: httpx.Client, language: str, title: str) -> None:
    browser.cookies.set("lang", language)
    assert f"<h1>{title}</h1>" in browser.get("/ui/models").text
