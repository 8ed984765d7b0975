"""What a run starts from: one of everything that a user can have, and files as users send them."""

import base64
import io
import json
from pathlib import Path
from typing import Any, Final

import timm
from finetuned_test_plugins import Autoencoder
from PIL import Image
from safetensors.torch import save
from torch import nn

from tests.e2e import sets
from tests.hostile.tenant import Tenant

_TRAINING: Final = {"max_epochs": 1, "batch_size": 4}
_PLAIN: Final = {"backbone": "plugin/tiny", "weights": None, "strategy": "freeze", "training": _TRAINING}


def write_files(folder: Path) -> None:
    """The files of uploads, under the names that `hooks.py` reads."""
    rows = [{"text": sets.sentence(label, number), "label": label} for label in sets.WORDS for number in range(5)]
    files = {
        "films.csv": sets.sentence_csv(5),
        "films.jsonl": "\n".join(json.dumps(row) for row in rows).encode(),
        "pictures.zip": sets.picture_zip(5),
        "autoencoder.safetensors": _tensors(Autoencoder()),
        "efficientnet.safetensors": _tensors(timm.create_model("test_efficientnet")),
        "bee.png": _png(),
        "image.json": _inference("image", base64.b64encode(_png()).decode()),
        "text.json": _inference("text", "a film that stays"),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


def plant(owner: Tenant, folder: Path) -> None:
    """Have one of everything, and write the ids under the names that the configuration reads."""
    pictures = owner.imported("pictures.zip", sets.picture_zip(6), name="pictures")["id"]
    films = owner.imported("films.csv", sets.sentence_csv(5), name="films")["id"]
    spare_films = owner.imported("films.csv", sets.sentence_csv(6), name="spare")["id"]
    made = [_posted(owner, "/jobs", {**_PLAIN, "dataset": pictures, "name": f"seed-{number}"}) for number in range(2)]
    trained = [owner.ended(f"/jobs/{job}", "succeeded", "failed") for job in made]
    models = [str(job["model"]) for job in trained]
    reading = _posted(owner, "/jobs", {**_PLAIN, "backbone": "plugin/words", "dataset": films, "name": "reader"})
    reader = str(owner.ended(f"/jobs/{reading}", "succeeded")["model"])
    evaluation = _posted(owner, f"/models/{models[0]}/evaluate", {"dataset": pictures})
    owner.ended(f"/jobs/{evaluation}", "succeeded", "failed")
    assert owner.client.put(f"/models/{models[0]}/aliases/production").status_code == 200
    ids = {
        "datasets": [pictures, films],
        "jobs": [made[0], evaluation],
        "models": [models[0], "seed-0@production", reader],
        "checkpoints": [_checkpoint(owner, folder)],
    }
    spare = {"spare-datasets": [spare_films], "spare-jobs": made[1:], "spare-models": models[1:]}
    for name, values in (ids | spare | {"evaluations": [evaluation], "readers": [reader, models[0]]}).items():
        (folder / f"{name}.txt").write_text("".join(f'"{value}"\n' for value in values))
    (folder / "kept.txt").write_text("\n".join(value for values in ids.values() for value in values))


def _posted(owner: Tenant, path: str, body: dict[str, Any]) -> str:
    answer = owner.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _checkpoint(owner: Tenant, folder: Path) -> str:
    file = ("autoencoder.safetensors", (folder / "autoencoder.safetensors").read_bytes())
    answer = owner.client.post(
        "/checkpoints", files={"file": file}, data={"name": "mine", "architecture": "plugin/autoencoder"}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _tensors(module: nn.Module) -> bytes:
    return save({name: tensor.contiguous() for name, tensor in module.state_dict().items()})


def _inference(name: str, value: str) -> bytes:
    """A request of the Open Inference Protocol."""
    return json.dumps({"inputs": [{"name": name, "shape": [1], "datatype": "BYTES", "data": [value]}]}).encode()


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(sets.picture("red", 1))).save(buffer, "PNG")
    return buffer.getvalue()
