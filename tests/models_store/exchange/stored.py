"""Models in a store, and their downloads unpacked; heads are random, and so are most trunks."""

import ast
import contextlib
import io
import os
import re
import runpy
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from models_store import bundle, registry
from models_store.backbones import FAMILIES, split_name
from models_store.backbones.family import TEXTS, Backbone
from models_store.database.tables import DatasetRow, Json, ModelRow
from models_store.engines.choosing import open_for
from models_store.exchange import download
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.predictor import Predictor
from models_store.preprocessing.protocol import Prepared
from tests.models_store.samples import encoded, noise, photos

LABELS: Final = ["개미", "bees | wasps", "`고양이`"]
TEMPERATURE: Final = 1.7
_PICTURES: Final = [*photos().values(), encoded(noise(64, 48))]
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Stored:
    """A model in a store."""

    row: ModelRow
    store_dir: Path

    @property
    def directory(self) -> Path:
        """Of its bundle."""
        return registry.directory(self.store_dir, self.row.id)

    def unpacked(self, folder: Path, dataset: DatasetRow | None = None) -> Path:
        """The zip's files in ``folder``, and beside them the checkpoint as ``model.ckpt``."""
        content = b"".join(download.as_zip(self.row, dataset, self.store_dir))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            archive.extractall(folder)
        with (folder / "model.ckpt").open("wb") as file:
            download.write_checkpoint(self.row, dataset, self.store_dir, file)
        return folder

    def served(self, contents: Sequence[bytes]) -> list[dict[str, float]]:
        """The probabilities that the service gives."""
        stored = bundle.read(self.directory)
        answers = Predictor(stored, open_for(self.store_dir, stored.card)).predict(contents)
        return [{one["label"]: one["score"] for one in answer["scores"]} for answer in answers]


def keep(
    store_dir: Path,
    backbone: str,
    *,
    weights: str | None = None,
    options: Mapping[str, Any] | None = None,
    **card: Any,
) -> Stored:
    """Save a model of this backbone with a random head."""
    family, name = split_name(backbone)
    torch.manual_seed(0)
    loaded = FAMILIES[family].load(name, weights, Mirror(store_dir), options or {})
    network = Network(loaded.module, loaded.architecture, len(LABELS)).freeze()
    _sharpen(network, loaded)
    described: Json = {"labels": LABELS, "weights": loaded.weights, "temperature": TEMPERATURE, **card}
    row = ModelRow(
        id="mdl_1",
        owner="ann",
        name="곤충",
        version=3,
        job_id="job_1",
        dataset_id="ds_1",
        task=loaded.architecture.task,
        backbone=backbone,
        trunk="",
        card={},
        bytes=1,
        created_at=time.time(),
    )
    stored = Stored(row, store_dir)
    bundle.save(stored.directory, store_dir, network, loaded.architecture, loaded.preprocessing, described)
    return stored


def _sharpen(network: Network, backbone: Backbone) -> None:
    """A head that tells items apart by what little a random trunk makes of their difference."""
    contents = [b"a good film", b"bad", b"the story of a word"] if backbone.architecture.task == TEXTS else _PICTURES
    items = [item for item in backbone.preprocessing.prepare(contents) if isinstance(item, Prepared)]
    with torch.no_grad():
        features = torch.cat([network.features(backbone.preprocessing.collate([item])) for item in items])
        spread = (features - features.mean(dim=0)).norm(dim=1).mean()
        network.head.weight.copy_(torch.randn_like(network.head.weight) * 2 / spread)
        network.head.bias.copy_(-network.head.weight @ features.mean(dim=0))


def programs(folder: Path) -> tuple[str, str]:
    """The two programs of the model card: the ten lines, and the module of Lightning."""
    lines, module = _BLOCK.findall((folder / "README.md").read_text("utf-8"))
    return lines, module


def printed(folder: Path, arguments: Sequence[str]) -> list[dict[str, float]]:
    """Run the ten lines in ``folder``, in this process; gives what they print."""
    (folder / "run.py").write_text(programs(folder)[0], "utf-8")
    output, before = io.StringIO(), sys.argv
    sys.argv = ["run.py", *arguments]
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(output):
            runpy.run_path("run.py")
    finally:
        sys.argv = before
    return [ast.literal_eval(line) for line in output.getvalue().splitlines()]


def loaded_module(folder: Path) -> dict[str, Any]:
    """What the module's program leaves, run in ``folder``, in this process."""
    (folder / "module.py").write_text(programs(folder)[1], "utf-8")
    with contextlib.chdir(folder):
        return runpy.run_path("module.py")


def assert_close(found: Sequence[Mapping[str, float]], expected: Sequence[Mapping[str, float]]) -> None:
    """The same probabilities of the same classes within 1e-4."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert max(abs(one[label] - other[label]) for label in one) < 1e-4


def written(folder: Path, contents: Mapping[str, bytes]) -> list[str]:
    """Files of these contents; gives their names."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [os.fspath(name) for name in contents]
