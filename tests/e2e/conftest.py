"""One running installation for the tests that only use it, and a maker for those that break it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import sets, weights
from tests.e2e.cluster import cluster, s3_server  # noqa: F401 - fixtures
from tests.e2e.service import Service

MINILM = "hf/sentence-transformers/all-MiniLM-L6-v2"
LITE0 = "timm/tf_efficientnet_lite0"
PICTURES = {"max_epochs": 20, "batch_size": 8, "head_lr": 0.01}
SENTENCES = {"max_epochs": 8, "batch_size": 8}


@pytest.fixture
def make_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Makes installations that are stopped at the end of the test; not started yet."""
    made: list[Service] = []

    def make(**options: str) -> Service:
        made.append(Service(tmp_path_factory.mktemp("service"), **options))
        return made[-1]

    yield make
    for service in made:
        service.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running installation whose mirror holds two really pretrained backbones."""
    service = Service(tmp_path_factory.mktemp("service"))
    try:
        service.start()
        add_weights(service, LITE0, "in1k", weights.efficientnet_lite0())
        add_weights(service, MINILM, "DEFAULT", zipped(weights.minilm(), tmp_path_factory.mktemp("weights")))
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="session")
def pictures(service: Service) -> str:
    """A ready data set of 36 pictures in three classes."""
    return str(service.upload("pictures.zip", sets.picture_zip(12, ("blue", "green", "red")))["id"])


@pytest.fixture(scope="session")
def sentences(service: Service) -> str:
    """A ready data set of 60 sentences in two classes."""
    return str(service.upload("sentences.csv", sets.sentence_csv(30))["id"])


@pytest.fixture(scope="session")
def picture_model(service: Service, pictures: str) -> str:
    """A model that tells the pictures apart, on a frozen backbone."""
    job = service.finished(service.post_job(pictures, LITE0, strategy="freeze", training=PICTURES))
    assert job["status"] == "succeeded", job["error"]
    return str(job["model"])


@pytest.fixture(scope="session")
def sentence_model(service: Service, sentences: str) -> str:
    """A model that tells the sentences apart, on a frozen backbone."""
    job = service.finished(service.post_job(sentences, MINILM, strategy="freeze", training=SENTENCES))
    assert job["status"] == "succeeded", job["error"]
    return str(job["model"])


def zipped(folder: Path, into: Path) -> Path:
    """The safetensors form of a Hugging Face folder as one file."""
    return sets.zip_folder(folder, into / f"{folder.name}.zip")


def add_weights(service: Service, backbone: str, name: str, file: Path) -> None:
    """Put weights into the mirror, as ``finetuned weights add`` does."""
    with file.open("rb") as content:
        fields = {"backbone": backbone, "weights": name}
        answer = service.client.post("/weights", data=fields, files={"file": (file.name, content)}, timeout=120)
    assert answer.status_code == 201, answer.text
