"""Names of users, wherever they can give one: kept and shown as texts, never a path, never more than a name."""

import io
import json
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.settings import AppSettings
from tests.app.service import ADMIN_KEY, Running, running
from tests.e2e import sets
from tests.e2e.service import Service
from tests.hostile import forms
from tests.hostile.belongings import BACKBONE, Belongings
from tests.hostile.tenant import Tenant

NAMES = {
    "up": "../../evil-canary",
    "absolute": "/tmp/evil-canary",  # noqa: S108 - where it must not come to be
    "backslashes": "..\\..\\evil-canary",
    "device": "CON",
    "device with suffix": "aux.evil-canary",
    "dots": "..",
    "dot": ".",
    "tilde": "~/evil-canary",
    "long": "n" * 200,
    "long in bytes": "😀" * 200,
    "right to left": "evil-canary\u202ezip.exe",
    "isolates": "\u2066evil\u2069\u200f\u200ecanary",
    "zero width": "evil\u200b\ufeffcanary",
    "controls": "evil-canary\x1b[2J\x07",
    "lines": "evil-canary\r\nX-Injected: 1",
    "SQL": "x'; DROP TABLE datasets; --",
    "shell": "$(touch evil-canary)`touch evil-canary`;|&",
    "template": "{{7*7}}${7*7}#{7*7}%(x)s{0}%s",
    "markup": "<script>alert(1)</script>",
    "wildcards": "%_*?[a-z]",
    "at": "evil-canary@production",
    "combining": "e\u0301" + "\u0301" * 150,
    "private": "\ue000\U0010ffff",
}
REFUSED = {
    "empty": "",
    "blank": "   ",
    "too long": "n" * 300,
    "NUL": "evil\0canary",
}
_TEXTS = b"text,label\n" + b"".join(b"text %d,%s\n" % (n, b"good" if n % 2 else b"bad") for n in range(8))


def _strays(*folders: Path) -> list[Path]:
    """Files that bear a user's name."""
    places = [path for folder in folders for path in folder.rglob("*")]
    places += [*Path("/tmp").glob("*canary*"), *Path.cwd().glob("*canary*")]  # noqa: S108 - where it must not come to be
    return [path for path in places if "evil" in path.name]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An API without a worker: what is uploaded waits."""
    folder = tmp_path_factory.mktemp("names")
    broker = f"redis+socket://{folder}/none.sock"
    with running(AppSettings(data_dir=folder / "data", redis_url=broker, api_key=SecretStr(ADMIN_KEY))) as started:
        yield started


@pytest.fixture(scope="module")
def client(api: Running) -> Iterator[httpx.Client]:
    """A user."""
    with api.user("ann") as made:
        yield made


@pytest.fixture(scope="module")
def waiting(client: httpx.Client) -> str:
    """A data set on which jobs may be made."""
    return str(client.post("/datasets", files={"file": ("names.csv", _TEXTS)}).json()["id"])


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_comes_back_as_it_was_given_and_names_nothing_else(
    kind: str, client: httpx.Client, api: Running, waiting: str
) -> None:
    name = NAMES[kind]
    upload = client.post("/datasets", files={"file": ("a.csv", _TEXTS)}, data={"name": name})
    assert upload.json()["name"] == name, upload.text
    body = {"dataset": waiting, "backbone": "hf/tests/none", "name": name, "metadata": {name[:64]: name}}
    job = client.post("/jobs", json=body)
    assert (job.json()["name"], job.json()["metadata"]) == (name, {name[:64]: name}), job.text
    assert client.get(f"/jobs/{job.json()['id']}").json()["name"] == name
    assert _strays(api.settings.data_dir) == []


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_name_is_refused(kind: str, client: httpx.Client, waiting: str) -> None:
    name = REFUSED[kind]
    body = {"dataset": waiting, "backbone": "hf/tests/none", "name": name}
    assert client.post("/jobs", json=body).json()["code"] == "validation_error"
    fields = {"name": name, "architecture": BACKBONE}
    answer = client.post("/checkpoints", files={"file": ("a.safetensors", b"x")}, data=fields)
    assert answer.json()["code"] == "validation_error"


@pytest.mark.parametrize("kind", [*NAMES, *REFUSED])
def test_a_name_where_an_address_has_its_id_is_not_found(kind: str, client: httpx.Client, api: Running) -> None:
    name = urllib.parse.quote({**NAMES, **REFUSED}[kind], safe="")
    for path in ("/datasets", "/jobs", "/models", "/checkpoints"):
        answer = client.get(f"{path}/{name}")
        assert answer.status_code in {200, 307, 404, 405, 422}, (path, answer.text)
        # What leads back to the beginning of an address is another one: the list itself, or the page.
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        assert answer.status_code != 200 or is_page or "data" in answer.json()
        assert "x-injected" not in answer.headers
    assert _strays(api.settings.data_dir) == []


@pytest.mark.parametrize("kind", [*NAMES, *REFUSED])
def test_an_alias_is_of_few_plain_characters(kind: str, anns: Belongings, ann: Tenant) -> None:
    alias = urllib.parse.quote({**NAMES, **REFUSED}[kind], safe="")
    if not alias.strip("."):
        return  # such an address is another one: clients and servers take these away
    answer = ann.client.put(f"/models/{anns.model}/aliases/{alias}")
    assert answer.status_code in {404, 405, 422}, answer.text


@pytest.mark.parametrize("kind", NAMES)
def test_a_file_may_have_any_name(kind: str, client: httpx.Client, api: Running) -> None:
    name = NAMES[kind].replace("\r\n", "%0D%0A").replace('"', "%22")
    body = forms.form(forms.part("file", _TEXTS, f"{name}.csv"))
    answer = client.post("/datasets", content=body, headers=forms.KIND)
    assert answer.status_code == 202, answer.text
    assert _strays(api.settings.data_dir) == []


def _labelled(labels: list[str]) -> bytes:
    rows = [{"text": f"text {n} of {place}", "label": label} for place, label in enumerate(labels) for n in range(4)]
    return "\n".join(json.dumps(row) for row in rows).encode()


def test_labels_of_texts_are_texts(ann: Tenant, service: Service) -> None:
    labels = [name.strip() for name in NAMES.values()]
    dataset = ann.imported("labels.jsonl", _labelled(labels))
    assert dataset["status"] == "ready", dataset["error"]
    shown = {one["label"] for one in dataset["classes"]}
    assert {label for label in labels if label not in shown} <= {NAMES["combining"]}  # which is one in NFC
    items = ann.client.get(f"/datasets/{dataset['id']}/items", params={"label": "../../evil-canary"}).json()["data"]
    assert len(items) == 4
    assert _strays(service.folder) == []


def test_labels_and_items_of_pictures_are_texts(ann: Tenant, service: Service) -> None:
    """What could lead out of a folder is refused with its name; all else is a folder's or a file's name."""
    names = {kind: name for kind, name in NAMES.items() if "/" not in name and "\\" not in name and name.strip(".")}
    files = [
        (f"{label}/{n}{label[:50]}.jpg", sets.picture("red", 10 * place + n))
        for place, label in enumerate(names.values())
        for n in range(3)
    ]
    dataset = ann.imported("labels.zip", forms.archive(files))
    assert dataset["status"] == "ready", dataset["error"]
    assert len(dataset["classes"]) >= len(names) - 1
    found = ann.client.get(f"/datasets/{dataset['id']}/items", params={"label": "CON"}).json()["data"]
    assert len(found) == 3
    assert _strays(service.folder) == []


@pytest.mark.slow
def test_a_models_name_cannot_disguise_what_is_downloaded(anns: Belongings, ann: Tenant) -> None:
    body: dict[str, Any] = {"dataset": anns.dataset, "backbone": BACKBONE, "weights": None, "strategy": "freeze"}
    name = "../evil\u202e\u2066fdp.exe\r\nX-Injected: 1"
    job = ann.client.post("/jobs", json={**body, "name": name, "training": {"max_epochs": 1}}).json()
    model = ann.ended(f"/jobs/{job['id']}", "succeeded", "failed")["model"]
    answer = ann.client.get(f"/models/{model}/download")
    told = urllib.parse.unquote(answer.headers["content-disposition"])
    assert "x-injected" not in answer.headers
    assert told.endswith("-v1.zip")
    assert not {"\u202e", "\u2066", "/", "\r", "\n"} & set(told.partition("filename*=")[2])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        inside = archive.namelist()
    assert [one for one in inside if "evil" in one or ".." in one or one.startswith("/")] == []
