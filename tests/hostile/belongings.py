"""What the victim has: one of everything, really made by the service."""

from dataclasses import dataclass
from typing import Any

from safetensors.torch import save
from torchvision.models import squeezenet1_1

from tests.e2e import sets
from tests.e2e.service import Service
from tests.hostile.tenant import Tenant

BACKBONE = "torchvision/squeezenet1_1"
NAME = "canary-of-ann"
"""What everything of hers is called, so that a trace of it is found anywhere."""


@dataclass(frozen=True)
class Belongings:
    """Ids; ``paths`` has them by the names that the routes give them."""

    dataset: str
    item: str
    job: str
    model: str
    checkpoint: str
    key: str

    @property
    def paths(self) -> dict[str, str]:
        """Parameter of a route → the victim's object."""
        return {
            "dataset_id": self.dataset,
            "item_id": self.item,
            "job_id": self.job,
            "checkpoint_id": self.checkpoint,
            "ref": self.model,
            "alias": "production",
            "version": "1",
            "key_id": self.key,
        }

    def traces(self) -> tuple[str, ...]:
        """What must be seen nowhere."""
        return (self.dataset, self.job, self.model, self.checkpoint, self.key, NAME)


def acquired(service: Service, ann: Tenant, name: str = NAME, content: bytes | None = None) -> Belongings:
    """Upload, train, promote."""
    dataset = ann.imported("pictures.zip", sets.picture_zip(6) if content is None else content, name=name)
    assert dataset["status"] == "ready", dataset
    item = ann.client.get(f"/datasets/{dataset['id']}/items").json()["data"][0]["id"]
    job = _trained(ann, str(dataset["id"]), name)
    promoted = ann.client.put(f"/models/{job['model']}/aliases/production")
    assert promoted.status_code == 200, promoted.text
    key = service.client.post("/keys", json={"owner": ann.owner, "role": "user"}).json()["id"]
    return Belongings(str(dataset["id"]), item, str(job["id"]), str(job["model"]), _checkpoint(ann, name), key)


def _trained(ann: Tenant, dataset: str, name: str) -> dict[str, Any]:
    training = {"max_epochs": 1, "batch_size": 4}
    body = {"dataset": dataset, "backbone": BACKBONE, "weights": None, "strategy": "freeze", "name": name}
    answer = ann.client.post("/jobs", json={**body, "training": training})
    assert answer.status_code == 202, answer.text
    job = ann.ended(f"/jobs/{answer.json()['id']}", "succeeded", "failed")
    assert job["status"] == "succeeded", job["error"]
    return job


def _checkpoint(ann: Tenant, name: str) -> str:
    content = save(dict(squeezenet1_1(weights=None).state_dict()))
    fields = {"name": name, "architecture": BACKBONE}
    answer = ann.client.post("/checkpoints", files={"file": ("net.safetensors", content)}, data=fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
