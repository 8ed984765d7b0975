"""What holds for every engine: it gives the features of the trunk that it was opened on, however they are asked for."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from models_store import trunks
from models_store.backbones import FAMILIES
from models_store.backbones.family import Batch
from models_store.engines import ENGINES, EngineUnavailableError, conversion
from models_store.errors import UnavailableError
from models_store.mirror import Mirror
from models_store.network import Network
from tests.models_store.samples import minilm

TEXTS = [f"text {'that is longer ' * number}".encode() for number in range(7)]


class Stored:
    """A trunk in a store, converted; ``items`` are seven of its kind."""

    def __init__(self, store: Path, family: str, name: str, weights: str | None) -> None:
        torch.manual_seed(0)
        backbone = FAMILIES[family].load(name, weights, Mirror(store), {})
        self.store = store
        self.network = Network(backbone.module, backbone.architecture, classes=2).freeze()
        self.trunk = trunks.put(store, backbone.module, backbone.architecture)
        if backbone.architecture.task.startswith("image"):
            self.items = {"pixels": torch.rand(7, 3, 160, 160)}
        else:
            prepared = backbone.preprocessing.prepare(TEXTS)
            self.items = backbone.preprocessing.collate([one for one in prepared if not isinstance(one, Exception)])
        refused = conversion.ensure(store, self.trunk, backbone.module, backbone.architecture, self.items)
        assert refused is None


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return Stored(tmp_path_factory.mktemp("store"), "timm", "test_resnet", None)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    store = tmp_path_factory.mktemp("store")
    Mirror(store).add("hf/some/minilm", "DEFAULT", minilm())
    return Stored(store, "hf", "some/minilm", "DEFAULT")


@pytest.fixture(params=["images", "texts"])
def stored(request: pytest.FixtureRequest) -> Stored:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stored)
    return found


def _part(batch: Batch, rows: slice) -> Batch:
    return {name: tensor[rows] for name, tensor in batch.items()}


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 6), slice(0, 7)])
def test_features_are_those_of_the_network(stored: Stored, name: str, rows: slice) -> None:
    batch = _part(stored.items, rows)
    features = ENGINES[name](stored.store, stored.trunk, "f32").features(batch)
    expected = stored.network.features(batch)
    assert features.shape == expected.shape
    assert (features.dtype, features.device.type, features.requires_grad) == (torch.float32, "cpu", False)
    assert float((features - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize("name", ENGINES)
def test_other_lengths_are_no_matter(texts: Stored, name: str) -> None:
    short = {name: tensor[:2, :9] for name, tensor in texts.items.items()}
    features = ENGINES[name](texts.store, texts.trunk, "f32").features(short)
    assert torch.allclose(features, texts.network.features(short), atol=1e-5)


@pytest.mark.parametrize("name", ENGINES)
def test_threads_that_ask_at_once_get_their_own_answers(stored: Stored, name: str) -> None:
    engine = ENGINES[name](stored.store, stored.trunk, "f32")
    alone = [engine.features(_part(stored.items, slice(row, row + 1))) for row in range(7)]
    with ThreadPoolExecutor(4) as threads:
        again = list(
            threads.map(lambda row: engine.features(_part(stored.items, slice(row, row + 1))), [*range(7)] * 4)
        )
    assert all(torch.allclose(again[place], alone[place % 7], atol=1e-6) for place in range(28))


@pytest.mark.parametrize("name", ENGINES)
def test_what_was_answered_stays(images: Stored, name: str) -> None:
    engine = ENGINES[name](images.store, images.trunk, "f32")
    first = engine.features(_part(images.items, slice(0, 2)))
    kept = first.clone()
    engine.features(_part(images.items, slice(2, 4)))
    assert torch.equal(first, kept)


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_tells_its_memory(images: Stored, name: str) -> None:
    weights = sum(tensor.nbytes for tensor in images.network.backbone.parameters())
    assert weights * 0.9 < ENGINES[name](images.store, images.trunk, "f32").nbytes < weights * 1.5


@pytest.mark.parametrize("name", ENGINES)
def test_as_many_batches_as_an_engine_takes_are_computed_at_once(stored: Stored, name: str) -> None:
    engine = ENGINES[name](stored.store, stored.trunk, "f32")
    together = threading.Barrier(engine.parallel)

    def ask(_: int) -> torch.Tensor:
        together.wait(10)
        return engine.features(stored.items)

    with ThreadPoolExecutor(engine.parallel) as threads:
        features = [*threads.map(ask, range(engine.parallel))]
    expected = stored.network.features(stored.items)
    assert all(float((one - expected).abs().max() / expected.abs().max()) < 1e-5 for one in features)


def test_a_graph_for_several_batches_costs_memory_only_where_they_came(images: Stored) -> None:
    engine = ENGINES["openvino"](images.store, images.trunk, "f32")
    before = engine.nbytes
    engine.features(images.items)
    assert engine.nbytes == before
    with ThreadPoolExecutor(2) as threads:
        while engine.nbytes == before and engine.parallel > 1:
            [*threads.map(engine.features, [images.items] * 2)]
    assert engine.nbytes == before * (2 if engine.parallel > 1 else 1)


def test_where_the_graph_has_gone_meanwhile_batches_go_on_one_way(tmp_path: Path) -> None:
    stored = Stored(tmp_path, "timm", "test_resnet", None)
    engine = ENGINES["openvino"](tmp_path, stored.trunk, "f32")
    shutil.rmtree(trunks.directory(tmp_path, stored.trunk))
    expected = stored.network.features(stored.items)
    with ThreadPoolExecutor(4) as threads:
        features = [*threads.map(engine.features, [stored.items] * 8)]
    assert all(torch.allclose(one, expected, atol=1e-5) for one in features)


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_trunk_is_refused(tmp_path: Path) -> None:
    stored = Stored(tmp_path, "timm", "test_resnet", None)
    _flip_a_bit(trunks.directory(tmp_path, stored.trunk) / "trunk.safetensors")
    with pytest.raises(UnavailableError) as refused:
        ENGINES["torch"](tmp_path, stored.trunk, "f32")
    assert refused.value.code == "trunk_damaged"


def test_a_damaged_graph_leaves_the_work_to_pytorch_until_it_is_converted_anew(tmp_path: Path) -> None:
    stored = Stored(tmp_path, "timm", "test_resnet", None)
    _flip_a_bit(trunks.directory(tmp_path, stored.trunk) / "openvino" / "model.bin")
    with pytest.raises(EngineUnavailableError, match="damaged"):
        ENGINES["openvino"](tmp_path, stored.trunk, "f32")
    backbone = stored.network.backbone
    assert conversion.ensure(tmp_path, stored.trunk, backbone, stored.network.architecture, stored.items) is None
    features = ENGINES["openvino"](tmp_path, stored.trunk, "f32").features(stored.items)
    assert torch.allclose(features, stored.network.features(stored.items), atol=1e-5)
