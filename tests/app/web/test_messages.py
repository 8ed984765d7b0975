"""The tables of what pages say."""

import re
from pathlib import Path
from string import Formatter
from typing import Final

import pytest

import app.web
from app.web.messages import ERRORS, TABLES
from app.web.texts import Texts
from tests.app.web.conftest import Site

_FOLDER: Final = Path(app.web.__file__).parent
_ROOT: Final = _FOLDER.parent.parent
_SOURCES: Final = [*_FOLDER.rglob("*.html"), *(file for file in _FOLDER.rglob("*.py") if "messages" not in file.parts)]
_KEY: Final = re.compile(r"""\bt\(\s*["']([a-z_]+\.[a-z_.0-9]*[a-z_0-9])["']\s*[,)]""")
_JS_KEY: Final = re.compile(r"""\bt\(\s*["']([a-z_.]+)["']""")


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_say_the_same_things() -> None:
    assert set(TABLES["en"]) == set(TABLES["ko"])


def test_both_languages_have_the_same_placeholders() -> None:
    english, korean = ({key: _placeholders(text) for key, text in TABLES[one].items()} for one in ("en", "ko"))
    assert english == korean


def test_the_tables_are_filled_and_korean_is_korean() -> None:
    assert all(text.strip() for table in TABLES.values() for text in table.values())
    korean = [key for key, text in TABLES["ko"].items() if re.search(r"[가-힣]", text)]
    assert len(korean) > 0.9 * len(TABLES["ko"])


def test_every_message_that_a_page_asks_for_is_there() -> None:
    asked = {key for file in _SOURCES for key in _KEY.findall(file.read_text("utf-8"))}
    assert len(asked) > 100
    assert asked - set(TABLES["en"]) == set()


def test_every_message_that_a_script_asks_for_is_there() -> None:
    scripts = [file.read_text("utf-8") for file in (_FOLDER / "static").glob("*.js")]
    asked = {key for script in scripts for key in _JS_KEY.findall(script) if not key.endswith(".")}
    assert len(asked) > 10
    assert asked - set(Texts("en").for_scripts()) == set()


def test_refusals_are_translated_by_codes_that_there_are() -> None:
    rooms = ("app", "models_store", "worker")
    files = (file for room in rooms for file in (_ROOT / room).rglob("*.py") if "messages" not in file.parts)
    source = "".join(file.read_text("utf-8") for file in files)
    assert [code for code in ERRORS["ko"] if f'"{code}"' not in source] == []
    assert len(ERRORS["ko"]) > 80


def test_a_refusal_in_another_language_keeps_the_services_own_words_beside() -> None:
    english, korean = Texts("en"), Texts("ko")
    assert english.error("no_class", "x.jpg lies outside.") == "x.jpg lies outside."
    assert english.details("no_class", "x.jpg lies outside.") == ""
    assert re.search(r"[가-힣]", korean.error("no_class", "x.jpg lies outside."))
    assert korean.details("no_class", "x.jpg lies outside.") == "x.jpg lies outside."


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("de,ko;q=0.5,en;q=0.4", "ko"),
        ("fr", "en"),
        ("ko;q=nonsense", "ko"),
    ],
)
def test_a_page_is_in_the_language_that_the_browser_prefers(site: Site, header: str, language: str) -> None:
    page = site.browser.get("/ui/jobs", headers={"Accept-Language": header})
    assert f'<html lang="{language}"' in page.text
    assert TABLES[language]["jobs.text"] in page.text


def test_the_readers_choice_counts_more_than_the_browsers(site: Site) -> None:
    page = site.browser.get("/login", headers={"Accept-Language": "en", "Cookie": "lang=ko; theme=dark"})
    assert '<html lang="ko" data-theme="dark">' in page.text


@pytest.mark.parametrize("cookie", ["lang=xx; theme=<b>", "lang=; theme=", "lang", ";;;", 'lang="<script>"'])
def test_a_strange_cookie_is_no_choice(site: Site, cookie: str) -> None:
    page = site.browser.get("/login", headers={"Cookie": cookie})
    assert '<html lang="en" data-theme="auto">' in page.text
