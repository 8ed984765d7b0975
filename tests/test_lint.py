"""What `make lint` asks of tools: findings fail it, a missing network does not, and nothing is passed over unsaid."""

import importlib.util
import json
import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

_ROOT: Final = Path(__file__).parent.parent
_FINDING: Final = {
    "id": "TEST-2026-1",
    "affected": [
        {
            "package": {"name": "bad", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        }
    ],
}
Audit = Callable[[Path, list[list[str]]], int]


@pytest.fixture(scope="module")
def audit() -> Audit:
    """`main` of the script that `make lint` runs."""
    spec = importlib.util.spec_from_file_location("audit", _ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Audit = module.main
    return main


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    """A file of pins as the project has one."""
    file = tmp_path / "constraints.txt"
    file.write_text("# pinned\nbad==1.0\ngood==3.1\n")
    return file


@contextmanager
def _osv(known: dict[str, list[dict[str, Any]]]) -> Iterator[list[str]]:
    """A vulnerability service that knows these findings by package; gives pip-audit's options that lead to it."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            findings = known.get(query["package"]["name"])
            content = json.dumps({"vulns": findings} if findings else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield ["osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/"]
    server.shutdown()
    server.server_close()


def test_a_known_vulnerability_fails(audit: Audit, pins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with _osv({"bad": [_FINDING]}) as service:
        assert audit(pins, [service]) == 1
    assert "bad 1.0: TEST-2026-1, mended in 2.0" in capsys.readouterr().out


def test_packages_without_findings_pass_and_are_counted(
    audit: Audit, pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with _osv({}) as service:
        assert audit(pins, [service]) == 0
    assert "osv knows 2 of 2 pinned packages: 0 findings." in capsys.readouterr().out


def test_where_no_service_answers_it_passes_and_says_that_nothing_was_looked_up(
    audit: Audit, pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(pins, [["osv", "--osv-url", "http://127.0.0.1:9/"]]) == 0
    said = capsys.readouterr().out
    assert "NOT AUDITED" in said
    assert "findings" not in said


def test_the_next_service_is_asked_where_one_does_not_answer(audit: Audit, pins: Path) -> None:
    with _osv({"bad": [_FINDING]}) as service:
        assert audit(pins, [["osv", "--osv-url", "http://127.0.0.1:9/"], service]) == 1


def test_every_finding_of_bandit_that_is_passed_over_is_answered_in_the_documentation() -> None:
    sources = [file for room in ("app", "models_store", "worker", "finetuned") for file in (_ROOT / room).rglob("*.py")]
    passed = {code for file in sources for code in re.findall(r"# nosec (B\d+)", file.read_text("utf-8"))}
    passed |= set(tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["bandit"]["skips"])
    rows = re.findall(r"^\| (`B\d+`.*?) \|", (_ROOT / "docs" / "security.md").read_text("utf-8"), re.MULTILINE)
    assert {code for row in rows for code in re.findall(r"`(B\d+)`", row)} == passed


def test_no_finding_of_bandit_is_passed_over_without_its_code() -> None:
    sources = [file for room in ("app", "models_store", "worker", "finetuned") for file in (_ROOT / room).rglob("*.py")]
    assert [file for file in sources if re.search(r"#\s*nosec(?! B\d)", file.read_text("utf-8"))] == []
