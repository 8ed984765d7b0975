"""Several jobs beside each other."""

import html
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.web.comparing import MOST, differences
from models_store import leases
from tests.app.service import Running, claimed, job, ready_dataset
from tests.app.web.pages import words

_EPOCHS = [
    {"train_loss": 0.9, "val_loss": 0.8, "val_accuracy": 0.5},
    {"train_loss": 0.4, "val_loss": 0.3, "val_accuracy": 0.75},
]


@pytest.fixture
def pair(service: Running, browser: httpx.Client) -> tuple[str, str]:
    """Two jobs, of which the first has trained two epochs and runs still."""
    dataset = ready_dataset(service, browser)
    first = job(browser, dataset, name="<first>", training={"head_lr": 0.01})["id"]
    second = job(browser, dataset, name="second", strategy="full")["id"]
    claim = claimed(service)
    assert claim.job_id == first
    best = {"epoch": 1, **_EPOCHS[1]}
    leases.report_epochs(service.database, claim, dict(enumerate(_EPOCHS)), current=_EPOCHS[1], best=best)
    return first, second


def _curves(answer: httpx.Response) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="curves">(.*?)</script>', answer.text, re.DOTALL)
    assert found is not None
    curves: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    return curves


def _compare(browser: httpx.Client, *jobs: str) -> httpx.Response:
    return browser.get("/ui/compare", params={"job": list(jobs)})


def test_curves_are_those_of_the_jobs_in_the_order_asked_for(browser: httpx.Client, pair: tuple[str, str]) -> None:
    first, second = pair
    curves = _curves(_compare(browser, second, first))
    assert [curve["id"] for curve in curves] == [second, first]
    assert curves[0]["epochs"] == []
    assert curves[1]["epochs"] == [{"epoch": epoch, **metrics} for epoch, metrics in enumerate(_EPOCHS)]
    assert [curve["running"] for curve in curves] == [False, True]


def test_settings_that_differ_and_results_are_told(browser: httpx.Client, pair: tuple[str, str]) -> None:
    said = words(_compare(browser, *pair))
    assert "training.head_lr 0.01 0.001" in said
    assert "strategy auto full" in said
    assert "training.max_epochs" not in said, "the same in both"
    assert "<first>" in said
    assert "Running auto 75.0% 0.3 2 2" in said


def test_a_name_cannot_end_the_data_of_the_curves(service: Running, browser: httpx.Client) -> None:
    name = "</script><script>alert(1)</script>"
    one = job(browser, ready_dataset(service, browser), name=name)["id"]
    answer = _compare(browser, one)
    assert "<script>alert" not in answer.text
    assert _curves(answer)[0]["name"] == name


def test_the_same_job_twice_counts_once_and_too_many_are_refused(browser: httpx.Client, pair: tuple[str, str]) -> None:
    assert len(_curves(_compare(browser, pair[0], pair[0]))) == 1
    assert "Compare at most 8 jobs" in words(_compare(browser, *(f"job_{n}" for n in range(MOST + 1))), 422)


def test_somebody_elses_job_is_not_compared(
    browser: httpx.Client, pair: tuple[str, str], browser_of: Callable[[str], httpx.Client]
) -> None:
    assert _compare(browser, *pair).status_code == 200
    bob = browser_of("bob")
    assert _compare(bob, pair[0]).status_code == 404
    assert "<first>" not in words(bob.get("/ui/compare"))


def test_jobs_are_chosen_from_a_list_that_keeps_what_is_chosen(browser: httpx.Client, pair: tuple[str, str]) -> None:
    answer = _compare(browser, pair[0])
    boxes = dict(re.findall(r'name="job" value="(\w+)"[^>]*?( checked)?>', answer.text))
    assert boxes == {pair[0]: " checked", pair[1]: ""}


def test_differences_are_found_at_any_depth_and_where_one_has_no_such_setting() -> None:
    first = {"name": "a", "seed": 0, "training": {"lr": 0.1, "lora": {"r": 8}}, "weights": None}
    second = {"name": "b", "seed": 0, "training": {"lr": 0.2, "lora": None}, "weights": None}
    assert differences([first, second]) == [
        ("training.lr", [0.1, 0.2]),
        ("training.lora.r", [8, None]),
    ]
    assert differences([first]) == differences([]) == []
