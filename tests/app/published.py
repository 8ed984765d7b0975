"""Models in the store and the database, as a worker publishes them; their heads are random, their trunks real."""

from collections.abc import Sequence
from pathlib import Path

import torch
from sqlalchemy.orm import Session

from models_store import bundle, ids, jobs, leases, registry
from models_store.backbones import FAMILIES, split_name
from models_store.database.tables import Json
from models_store.mirror import Mirror
from models_store.network import Network
from tests.app.service import Running, claimed, ready_dataset
from tests.e2e.weights import minilm

IMAGES = ("torchvision/squeezenet1_1", None)
TEXTS = ("hf/tests/minilm", "main")
LABELS = ["ants", "bees", "cats"]


def publish(
    service: Running,
    owner_key: str | None = None,
    kind: tuple[str, str | None] = IMAGES,
    name: str = "insects",
    labels: Sequence[str] = LABELS,
) -> str:
    """A model of an owner (the admin, if no key is given); gives its id."""
    with service.client(owner_key) if owner_key else service.client() as client:
        task = "text-classification" if kind is TEXTS else "image-classification"
        dataset = ready_dataset(service, client, task=task)
        body = {"dataset": dataset, "backbone": kind[0], "weights": kind[1]}
        job_id = client.post("/jobs", json=body).json()["id"]
    claim = claimed(service)
    model_id = ids.new("mdl")
    trunk, card = _save(service.settings.store_dir, model_id, kind, labels)

    def insert(session: Session) -> Json:
        owner = jobs.get(session, job_id, owner=None).owner
        registry.publish(
            session,
            registry.NewModel(
                id=model_id,
                owner=owner,
                name=name,
                job_id=job_id,
                dataset_id=dataset,
                task=task,
                backbone=kind[0],
                trunk=trunk,
                card=card,
                bytes=1,
            ),
        )
        return {"model": model_id}

    leases.succeed(service.database, claim, insert)
    return model_id


def _save(store_dir: Path, model_id: str, kind: tuple[str, str | None], labels: Sequence[str]) -> tuple[str, Json]:
    backbone_name, weights = kind
    mirror = Mirror(store_dir)
    if backbone_name == TEXTS[0]:
        mirror.add(backbone_name, "main", minilm())
    family, name = split_name(backbone_name)
    torch.manual_seed(0)
    backbone = FAMILIES[family].load(name, weights, mirror, {})
    network = Network(backbone.module, backbone.architecture, len(labels)).freeze()
    card: Json = {
        "labels": [*labels],
        "metrics": {"val_accuracy": 0.9},
        "parity": {"passed": True},
        "freeze_proof": {"unchanged": True},
        "weights": weights,
    }
    directory = registry.directory(store_dir, model_id)
    trunk = bundle.save(directory, store_dir, network, backbone.architecture, backbone.preprocessing, card)
    return trunk, {**card, "preprocessing": backbone.preprocessing.card()}
