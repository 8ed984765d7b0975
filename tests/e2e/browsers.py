"""A real browser on the running service, which hears everything that a page should not do."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.e2e.service import KEY, Service
from tests.programs import missing

_ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SERIOUS: Final = frozenset({"serious", "critical"})
_DROP: Final = """async ([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([bytes], name));
  const target = document.getElementById("drop");
  for (const type of ["dragenter", "dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(type, { dataTransfer: dropped, bubbles: true, cancelable: true }));
  }
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One visitor's page, and what went wrong on it."""

    page: Page
    url: str
    wrong: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Hear errors, and requests that leave the host."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "blob:", "data:")):
            self.wrong.append(request.url)

    def sign_in(self) -> None:
        """With the key of the tests, from wherever the service leads to."""
        self.page.goto("/")
        self.page.locator("#key").fill(KEY)
        self.page.locator("main button.primary").click()
        self.page.wait_for_url(f"{self.url}/")

    def drop(self, name: str, content: bytes) -> None:
        """Drop a file on the page of data sets."""
        self.page.evaluate(_DROP, [name, base64.b64encode(content).decode()])

    def check(self) -> None:
        """Look at the page as it is: it fits the screen, and serves who does not see it or uses no mouse."""
        too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        url = self.page.url
        assert not self.page.evaluate(too_wide), f"{url} is too wide"
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        serious = [
            (one["id"], [node["html"] for node in one["nodes"][:3]]) for one in found if one["impact"] in _SERIOUS
        ]
        assert serious == [], f"{url}: {serious}"
        assert self.wrong == [], f"{url}: {self.wrong}"


@contextmanager
def visit(browser: Browser, service: Service, **options: Any) -> Iterator[Visit]:
    """A visitor with these options of Playwright's: locale, viewport, color_scheme."""
    context = browser.new_context(base_url=service.url, **options)
    context.set_default_timeout(60_000)
    one = Visit(context.new_page(), service.url)
    one.listen()
    try:
        yield one
    finally:
        context.close()
