"""A download is whole and is what its name says, or it leaves nothing behind."""

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from models_store.backbones.downloads import DownloadError, download, hub_cache

CONTENT = b"weights" * 1000
GOOD = f"model-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
WRONG = "model-00000000.pth"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    served = tmp_path / "served"
    served.mkdir()
    for name in (GOOD, WRONG):
        (served / name).write_bytes(CONTENT)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(served)))
    thread = Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_a_file_with_the_right_hash_lands_in_the_cache(server: str) -> None:
    path = download(f"{server}/{GOOD}")
    assert path == hub_cache(f"{server}/{GOOD}")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(("name", "reason"), [(WRONG, "hash"), ("model-none.pth", "404")])
def test_anything_else_leaves_nothing_behind(name: str, reason: str, server: str) -> None:
    with pytest.raises(DownloadError, match=reason):
        download(f"{server}/{name}")
    assert list(hub_cache(f"{server}/{name}").parent.iterdir()) == []


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DownloadError, match="ConnectError"):
        download("http://127.0.0.1:9/model.pth")
