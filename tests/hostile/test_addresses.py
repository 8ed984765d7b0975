"""No address that a user sends is ever asked: a listener on this machine stays alone (no SSRF)."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.e2e import sets
from tests.hostile import forms
from tests.hostile.belongings import BACKBONE, Belongings
from tests.hostile.tenant import Tenant


class Listener:
    """Counts who comes."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.port = int(server.getsockname()[1])
        self.came = 0

    def run(self) -> None:
        """Until the socket is closed."""
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.close()
            self.came += 1


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Somebody whom nothing should ask."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        made = Listener(server)
        thread = threading.Thread(target=made.run, daemon=True)
        thread.start()
        yield made
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _urls(port: int) -> list[str]:
    here = f"127.0.0.1:{port}"
    return [f"http://{here}/x.jpg", f"https://{here}/", f"//{here}/x", f"git+ssh://{here}/x", f"s3://{here}/x"]


def test_the_listener_hears_who_comes(listener: Listener) -> None:
    for _ in range(2):
        socket.create_connection(("127.0.0.1", listener.port)).close()
    with socket.create_connection(("127.0.0.1", listener.port)) as last:
        last.settimeout(5)
        last.recv(1)  # its end: whoever came before has been counted
    assert listener.came >= 2


def test_inputs_of_predictions_are_data(anns: Belongings, ann: Tenant, listener: Listener) -> None:
    svg = f'<svg><image href="http://127.0.0.1:{listener.port}/x"/></svg>'
    given = [*_urls(listener.port), f"file:///etc/passwd#{listener.port}", svg, f"data:text/html;base64,{'QUJD'}"]
    given += [base64.b64encode(one.encode()).decode() for one in given]
    predictions = ann.client.post("/predict", json={"model": anns.model, "inputs": given}).json()["predictions"]
    assert {one["error"]["code"] for one in predictions} <= {"invalid_base64", "unreadable_image"}
    for url in _urls(listener.port):
        raw = ann.client.post("/predict", params={"model": url}, content=b"x", headers={"Content-Type": "image/png"})
        assert raw.status_code == 404
    assert listener.came == 0


def test_names_of_backbones_and_weights_are_names(anns: Belongings, ann: Tenant, listener: Listener) -> None:
    for url in _urls(listener.port):
        for backbone in (url, f"hf/{url}", f"timm/{url}", f"torchvision/{url}", f"plugin/{url}", f"timm/hf-hub:{url}"):
            body: dict[str, Any] = {"dataset": anns.dataset, "backbone": backbone}
            assert ann.client.post("/jobs", json=body).status_code in {404, 422}, backbone
        body = {"dataset": anns.dataset, "backbone": BACKBONE, "weights": url}
        assert ann.client.post("/jobs", json=body).status_code == 422
        fields = {"name": url, "architecture": url}
        answer = ann.client.post("/checkpoints", files={"file": ("a.safetensors", b"x")}, data=fields)
        assert answer.status_code == 422
    assert listener.came == 0


def test_data_sets_bring_no_addresses(ann: Tenant, listener: Listener) -> None:
    urls = _urls(listener.port)
    rows = "".join(json.dumps({"text": url, "label": url}) + "\n" for url in urls for _ in range(2))
    assert ann.imported("a.jsonl", rows.encode(), name=urls[0])["status"] == "ready"
    evil = [(f"red/{n}.jpg", url.encode()) for n, url in enumerate(urls)]
    good = [(f"{c}/{n}.png", sets.picture(c, n)) for c in ("red", "blue") for n in range(20, 23)]
    dataset = ann.imported("a.zip", forms.archive([*good, *evil]))
    assert dataset["status"] == "ready"
    assert listener.came == 0


def test_headers_name_no_callbacks(anns: Belongings, ann: Tenant, listener: Listener) -> None:
    url = f"http://127.0.0.1:{listener.port}/"
    headers = dict.fromkeys(("Referer", "Origin", "X-Forwarded-For", "X-Callback", "Forwarded", "Via", "Link"), url)
    for path in ("/jobs", f"/jobs/{anns.job}", "/docs", f"/models/{anns.model}/report"):
        ann.client.get(path, headers=headers)
    assert listener.came == 0


def test_no_route_takes_an_address(ann: Tenant) -> None:
    """In the OpenAPI document: no field of a request is a URI."""
    described = ann.client.get("/openapi.json").json()
    requests = [
        operation.get("requestBody", {}) | {"parameters": operation.get("parameters", [])}
        for operations in described["paths"].values()
        for operation in operations.values()
    ]
    assert '"format": "uri"' not in json.dumps(requests)
