"""Our side: services with a model for images and one for texts, made by jobs of their own."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.given import Given
from bench.serving import samples
from bench.serving.load import Load, load
from bench.serving.samples import Kind
from demo import pretrained
from demo.service import running
from finetuned import Client, Job, keyfile
from models_store import processors

Json = dict[str, Any]
FLOAT32: Final = "f32"
AUTO: Final = "auto"
BFLOAT16: Final = "bf16"
"""Values of ``FINETUNED_SERVING_PRECISION``."""
SCRIPT: Final = Path(__file__).parent / "post.lua"
_TRAINING: Final = {"max_epochs": 30, "head_lr": 0.01, "early_stopping": None}
_JOBS: Final[Mapping[Kind, Json]] = {
    "image": {"backbone": "torchvision/resnet50", "weights": None},
    "text": {"backbone": "hf/sentence-transformers/all-MiniLM-L6-v2"},
}


@dataclass(frozen=True)
class Service:
    """A running service, and where it keeps what it has."""

    client: Client
    data_dir: Path

    def load(self, given: str, models: list[str], *, connections: int, seconds: float) -> Load:
        """A load with one input over the models in turns."""
        body, names = self.data_dir / "bench-body.json", self.data_dir / "bench-models.txt"
        body.write_text(json.dumps({"model": "MODEL", "inputs": [given]}), "utf-8")
        names.write_text("".join(f"{model}\n" for model in models), "utf-8")
        environment = {"AUTH": f"Bearer {keyfile.read(self.data_dir)}", "MODELS": str(names)}
        url = f"{self.client.url}/predict"
        return load(url, body, connections=connections, seconds=seconds, script=SCRIPT, environment=environment)

    def train(self, kind: Kind, given: Given, folder: Path) -> str:
        """Fine-tune a head on a few items, and give the model's name.

        Raises:
            RuntimeError: the job did not succeed.
        """
        job = self.client.wait_job(self.start_job(kind, self.upload(kind, given, folder))["id"])
        if job["status"] != "succeeded":
            raise RuntimeError(f"The job for {kind}s ended as {job['status']}: {job['error']}")
        return str(job["model"])

    def upload(self, kind: Kind, given: Given, folder: Path) -> str:
        """Import the small data set, and for texts the pretrained weights; gives the data set's name."""
        file = folder / f"{kind}s.zip"
        if kind == "image":
            samples.write_images(given.data / "hymenoptera.zip", file)
        else:
            samples.write_texts(given.data / "sms_spam", file)
            weights = pretrained.minilm()
            self.client.add_weights(weights.backbone, weights.path, weights.name)
        dataset = self.client.upload_dataset(file)
        if dataset["status"] != "ready":
            raise RuntimeError(f"The import of {file.name} failed: {dataset['error']} {dataset['problems']}")
        return str(dataset["id"])

    def start_job(self, kind: Kind, dataset: str) -> Job:
        """Queue a frozen job."""
        return self.client.create_job(dataset=dataset, strategy="freeze", training=_TRAINING, **_JOBS[kind])

    def served_by(self, model: str, precision: str) -> str:
        """The engine, and the precision that it has at this setting: what the model's certificate allows."""
        return served_by(self.client.model(model)["parity"], precision)


def served_by(certificate: Json, precision: str) -> str:
    """As a row says it; where bfloat16 was wanted and did not pass, that too."""
    engine = certificate["engine"]
    if precision == FLOAT32:
        return f"{engine} f32"
    judged = certificate.get("bf16")
    if judged is None:
        return f"{engine} f32, no bf16 here"
    return f"{engine} {BFLOAT16}" if judged["passed"] else f"{engine} f32, bf16 did not pass"


@contextmanager
def service(folder: Path, precision: str = FLOAT32) -> Iterator[Service]:
    """A service of its own in a new or kept folder, at this serving precision."""
    environment = {"FINETUNED_SERVING_PRECISION": precision}
    with running(folder / "data", folder / "logs", environment) as client:
        yield Service(client, folder / "data")


@contextmanager
def services(folder: Path) -> Iterator[dict[str, Service]]:
    """One at each serving precision that there is: without bfloat16 ``auto`` is float32, and is not measured twice."""
    precisions = (FLOAT32, AUTO) if processors.has_bfloat16() else (FLOAT32,)
    with ExitStack() as stack:
        yield {name: stack.enter_context(service(folder / name, name)) for name in precisions}
