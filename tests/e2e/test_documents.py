"""The commands of the documents, typed as they stand, give what the documents show."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import free_port
from tests.e2e.documents import Reader, Step, steps
from tests.e2e.service import ROOT, until

PROGRAMS = Path(sys.executable).parent
ADDRESS = "127.0.0.1:8000"
"""Where the documents' service listens; the tests' listens on a port that is free."""
GUIDES = ("docs/tutorial-texts.md", "docs/tutorial-images.md", "docs/protocols.md")


class Installation:
    """A folder in which somebody follows documents, and the service that they started there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FINETUNED_")},
            "PYTHONPATH": str(ROOT),
            "FINETUNED_PORT": str(free_port()),
            "COLUMNS": "120",
            "OMP_WAIT_POLICY": "PASSIVE",
            "HF_HOME": str(folder / "huggingface"),
            "TORCH_HOME": str(folder / "torch"),
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }
        self._address = f"127.0.0.1:{self._env['FINETUNED_PORT']}"
        self._env["FINETUNED_URL"] = f"http://{self._address}"
        self._service: subprocess.Popen[str] | None = None
        self._said: list[str] = []

    def follow(self, document: str) -> int:
        """Type every command of a document; gives how many there are."""
        reader = Reader(self._folder, PROGRAMS, self._env)
        found = [self._here(step) for step in steps(ROOT / document)]
        for step in found:
            if step.lasts:
                self.start(step)
            else:
                reader.take(step, seconds=400)
        return len(found)

    def start(self, step: Step) -> None:
        """Start the service, where it does not run yet, and see it say what the document shows."""
        if self._service is None:
            command = [str(PROGRAMS / "finetuned"), "up"]
            self._service = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**self._env, "HF_HUB_OFFLINE": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            threading.Thread(target=self._listen, args=(self._service,), daemon=True).start()
        until(lambda: "Stop it with" in "".join(self._said), 120, "the service is ready")
        step.compare("".join(self._said))

    def stop(self) -> None:
        """End the service as its user would."""
        if self._service is not None:
            subprocess.run([PROGRAMS / "finetuned", "down"], cwd=self._folder, env=self._env, check=True, timeout=60)
            self._service.wait(60)

    def _listen(self, service: "subprocess.Popen[str]") -> None:
        assert service.stdout is not None
        self._said.extend(service.stdout)

    def _here(self, step: Step) -> Step:
        return Step(step.command.replace(ADDRESS, self._address), step.shown)


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """A folder to follow documents in; nothing runs after it."""
    installation = Installation(folder)
    try:
        yield installation
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One for the guides, each of which begins as if nothing were there, and harms no other."""
    with installed(tmp_path_factory.mktemp("guides")) as installation:
        yield installation


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tour_says_what_it_shows(tmp_path: Path) -> None:
    with installed(tmp_path) as installation:
        assert installation.follow("README.md") > 10


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_korean_tour_says_what_it_shows(tmp_path: Path) -> None:
    with installed(tmp_path) as installation:
        assert installation.follow("README.ko.md") > 10


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", GUIDES)
def test_a_guide_says_what_it_shows(shared: Installation, document: str) -> None:
    assert shared.follow(document) > 5


@pytest.mark.parametrize("document", ["README.ko.md"])
def test_translations_have_the_commands_of_the_original(document: str) -> None:
    assert [step.command for step in steps(ROOT / document)] == [step.command for step in steps(ROOT / "README.md")]
