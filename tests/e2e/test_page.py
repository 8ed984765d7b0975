"""The newcomer's way through the page, in a real browser, against the real service."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from app.web.texts import Texts
from tests.e2e import sets
from tests.e2e.browsers import Visit, chromium, visit
from tests.e2e.conftest import LITE0
from tests.e2e.service import Service, until

_COLOURS: Final = ("blue", "green", "red")
_WIDE: Final = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
_NARROW: Final = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
_SEEN: Final = """() => {
  window.seen = [];
  new MutationObserver(() => window.seen.push(document.getElementById("curves").dataset.epochs))
    .observe(document.getElementById("curves"), { attributes: true, attributeFilter: ["data-epochs"] });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize(
    ("language", "screen"),
    [
        pytest.param("en", _WIDE, id="english-wide", marks=pytest.mark.slow),
        pytest.param("ko", _NARROW, id="korean-phone"),
    ],
)
def test_a_newcomer_gets_from_pictures_to_a_model_that_answers(
    language: str, screen: dict[str, object], browser: Browser, service: Service, tmp_path: Path
) -> None:
    t = Texts(language)
    with visit(browser, service, locale=language, **screen) as visitor:
        page = visitor.page
        page.goto("/")
        expect(page.locator("html")).to_have_attribute("lang", language)
        visitor.check()
        visitor.sign_in()
        visitor.check()
        _upload(visitor, tmp_path, by_folder=language == "ko")
        visitor.check()
        _start(visitor, t)
        _watch(visitor, t)
        visitor.check()
        _use(visitor, t, tmp_path)
        visitor.check()


def _upload(visitor: Visit, folder: Path, *, by_folder: bool) -> None:
    """Drop a zip, or choose a folder that the page packs; then see every picture's class."""
    page = visitor.page
    page.goto("/ui/datasets")
    visitor.check()
    if by_folder:
        with zipfile.ZipFile(_written(folder / "discs.zip")) as archive:
            archive.extractall(folder / "원판")
        page.locator("#folder").set_input_files(folder / "원판")
    else:
        visitor.drop("discs.zip", sets.picture_zip(12, _COLOURS))
    page.wait_for_url("**/ui/datasets/ds_*")
    expect(page.locator('[data-status="ready"]')).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("원판" if by_folder else "discs")
    for colour in _COLOURS:
        expect(page.get_by_role("heading", name=colour, exact=True)).to_be_visible()
    loaded = "[...document.querySelectorAll('.samples img')].filter((one) => one.naturalWidth > 0).length > 5"
    page.wait_for_function(loaded)


def _written(path: Path) -> Path:
    path.write_bytes(sets.picture_zip(12, _COLOURS))
    return path


def _start(visitor: Visit, t: Texts) -> None:
    """From the data set: train, backbone, start; with more epochs than usual, to see the curve move."""
    page = visitor.page
    page.get_by_role("link", name=t("datasets.train")).click()
    page.get_by_role("radio", name=re.compile(LITE0.split("/")[1])).check()
    expect(page.locator("#preflight")).to_contain_text(t("strategy.freeze"))
    page.locator("summary", has_text=t("new.advanced")).click()
    page.locator("#max_epochs").fill("60")
    page.locator("#patience").fill("60")
    page.locator("#head_lr").fill("0.01")
    visitor.check()
    page.locator("#start").click()
    page.wait_for_url("**/ui/jobs/job_*")
    page.evaluate(_SEEN)


def _watch(visitor: Visit, t: Texts) -> None:
    """The curves grow, and the end is told, without the page being loaded again."""
    page = visitor.page
    expect(page.locator("#job-state [data-status]").first).to_have_attribute(
        "data-status", "succeeded", timeout=120_000
    )
    seen = page.evaluate("window.seen")
    assert len(seen) > 1, "the curve moved while it was looked at"
    assert seen == sorted(seen, key=int)
    expect(page.locator("#plot-loss canvas")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text(t("js.status.succeeded"))
    page.locator("summary", has_text=t("jobs.table")).click()
    assert page.locator("#epochs tr").count() == int(seen[-1])


def _use(visitor: Visit, t: Texts, folder: Path) -> None:
    """Look at the model, try a picture, promote, download."""
    page = visitor.page
    page.get_by_role("link", name=t("jobs.model")).click()
    page.wait_for_url("**/ui/models/mdl_*")
    model = page.url.rpartition("/")[2]
    page.locator("#predict-file").set_input_files(
        {"name": "green.jpg", "mimeType": "image/jpeg", "buffer": sets.picture("green", 777)}
    )
    expect(page.locator("#prediction .answer strong")).to_have_text("green")
    page.get_by_role("button", name=t("models.aliases.promote")).first.click()
    page.locator("#confirm-yes").click()
    expect(page.get_by_text("production", exact=True).first).to_be_visible()
    with page.expect_download() as download:
        page.locator(f'a[href="/models/{model}/download"]').first.click()
    file = folder / "model.zip"
    download.value.save_as(file)
    with zipfile.ZipFile(file) as archive:
        assert any(name.endswith("model.safetensors") for name in archive.namelist())


@pytest.mark.parametrize(
    "screen", [pytest.param(_WIDE, id="wide-light"), pytest.param(_NARROW, id="phone-dark", marks=pytest.mark.slow)]
)
def test_every_page_serves_who_uses_no_mouse_or_hears_it(
    screen: dict[str, object], browser: Browser, service: Service, picture_model: str, sentence_model: str
) -> None:
    model = service.client.get(f"/models/{sentence_model}").json()
    addresses = [
        "/",
        "/ui/datasets",
        f"/ui/datasets/{model['dataset']}",
        "/ui/jobs",
        f"/ui/jobs/{model['job']}",
        "/ui/jobs/new",
        f"/ui/compare?job={model['job']}",
        "/ui/models",
        f"/ui/models/{picture_model}",
        f"/ui/models/{sentence_model}",
        f"/ui/predict?model={sentence_model}",
        "/ui/workers",
        "/ui/admin/keys",
        "/ui/admin/usage",
        "/ui/admin/audit",
        "/ui/admin/weights",
    ]
    with visit(browser, service, locale="en", **screen) as visitor:
        visitor.sign_in()
        for address in addresses:
            visitor.page.goto(address)
            visitor.page.wait_for_load_state("load")
            visitor.check()


def test_the_page_is_used_by_keyboard_alone(browser: Browser, service: Service, pictures: str) -> None:
    with visit(browser, service, locale="en", **_WIDE) as visitor:
        visitor.sign_in()
        page = visitor.page
        page.goto("/ui/datasets")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator("#file")).to_be_focused()
        page.goto(f"/ui/datasets/{pictures}")
        _focus(page, "Delete")
        page.keyboard.press("Enter")
        expect(page.locator("#confirm")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#confirm")).to_be_hidden()
        expect(page.get_by_role("button", name="Delete")).to_be_focused()
        assert service.client.get(f"/datasets/{pictures}").status_code == 200


def _focus(page: Page, name: str) -> None:
    """Press Tab until the button of this name has the focus."""

    def focused() -> bool:
        page.keyboard.press("Tab")
        return bool(page.evaluate("document.activeElement.textContent.trim()") == name)

    until(focused, 20, f"{name} has the focus", every=0.0)


def test_a_job_is_cancelled_from_its_page(browser: Browser, service: Service, pictures: str) -> None:
    job = service.post_job(pictures, LITE0, strategy="full", training={"max_epochs": 500, "early_stopping": None})
    with visit(browser, service, locale="en", **_WIDE) as visitor:
        visitor.sign_in()
        visitor.page.goto(f"/ui/jobs/{job}")
        visitor.page.get_by_role("button", name="Cancel", exact=True).first.click()
        visitor.page.locator("#confirm-yes").click()
        status = visitor.page.locator("#job-state [data-status]").first
        expect(status).to_have_attribute("data-status", "cancelled", timeout=60_000)
        assert visitor.wrong == [], visitor.wrong
    assert service.job(job)["status"] == "cancelled"


def test_a_bad_file_is_told_before_it_is_sent(browser: Browser, service: Service) -> None:
    with visit(browser, service, locale="en", **_WIDE) as visitor:
        visitor.sign_in()
        visitor.page.goto("/ui/datasets")
        visitor.drop("notes.docx", b"nothing")
        expect(visitor.page.get_by_role("alert")).to_contain_text("not understood")
        assert visitor.wrong == [], visitor.wrong


def test_language_and_theme_are_chosen_and_remembered(browser: Browser, service: Service) -> None:
    with visit(browser, service, locale="en", **_WIDE) as visitor:
        visitor.sign_in()
        page = visitor.page
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="한국어").click()
        expect(page.locator("html")).to_have_attribute("lang", "ko")
        page.goto("/ui/jobs")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.get_by_role("heading", level=1)).to_have_text(Texts("ko")("nav.jobs"))
        assert visitor.wrong == [], visitor.wrong


def test_signing_out_leads_to_the_form_and_back_leads_nowhere(browser: Browser, service: Service) -> None:
    with visit(browser, service, locale="en", **_WIDE) as visitor:
        visitor.sign_in()
        page = visitor.page
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")
        page.go_back()
        page.wait_for_url("**/login**")


def test_the_reference_works_under_its_policy(browser: Browser, service: Service) -> None:
    with visit(browser, service, locale="en", **_WIDE) as visitor:
        answer = visitor.page.goto("/docs")
        assert answer is not None
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        expect(visitor.page.get_by_role("button", name="POST /predict")).to_be_visible()
        visitor.page.locator(".opblock-summary").first.click()
        expect(visitor.page.locator(".opblock-body").first).to_be_visible()
        assert visitor.wrong == [], visitor.wrong
