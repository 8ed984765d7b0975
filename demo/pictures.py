"""``python -m demo.pictures``: take the pictures of the documents anew, of a real job and its model.

It needs Chromium at ``/usr/bin/chromium`` and the packages of the extra ``test``.
"""

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from demo import digits, pretrained
from demo.service import running
from finetuned import Client, keyfile

_IMAGES: Final = Path(__file__).parent.parent / "docs" / "images"
_CHROMIUM: Final = "/usr/bin/chromium"
_OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def main() -> None:
    """Train on handwritten digits, then look at it."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as temporary:
        folder = Path(temporary)
        with running(folder / "data", folder / "logs") as client:
            job, model = _trained(client, folder)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=[*_OPTIONS])
                page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light", locale="en")
                _sign_in(page, client.url, keyfile.read(folder / "data") or "")
                _take(page, f"{client.url}/ui/jobs/{job}", "job.png")
                _take(page, f"{client.url}/ui/models/{model}", "model.png")
                _take(page, f"{client.url}/docs", "api.png")
                browser.close()


def _trained(client: Client, folder: Path) -> tuple[str, str]:
    """The ids of a job and of its model."""
    weights = pretrained.efficientnet_lite0()
    client.add_weights(weights.backbone, weights.path, weights.name)
    digits.write_zip(folder / "digits.zip", 600)
    digits_zip = folder / "digits.zip"
    job = client.train(digits_zip, weights.backbone, name="digits", max_epochs=30, head_lr=0.01, seed=0).wait()
    return job.id, job.model.id


def _sign_in(page: Page, url: str, key: str) -> None:
    page.goto(f"{url}/login")
    page.locator("input[name=key]").fill(key)
    page.locator("main button.primary").click()
    page.wait_for_url(f"{url}/")


def _take(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=_IMAGES / name)


if __name__ == "__main__":
    main()
