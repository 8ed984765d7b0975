"""The engine that is to serve is compared with what was trained, and what was measured is kept for the next head."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models_store import processors
from models_store.backbones.family import Batch
from models_store.database.engine import Database
from models_store.engines import ENGINES, Engine, Precision
from models_store.errors import FinetunedError
from tests.worker.training.exporting.ended import Job, started
from worker.attempt import Attempt
from worker.training import serving
from worker.training.features import Extraction


def test_the_certificate_says_what_was_compared(job: Job) -> None:
    job.export()
    parity = job.models()[0].card["parity"]
    assert parity["max_abs_logit_diff"] <= 1e-4
    assert (parity["engine"], parity["precision"], parity["items"]) == ("openvino", "f32", 24)
    assert (parity["passed"], parity["reused"]) == (True, False)


class Watched:
    """Another engine, of which is known what it was asked for, and which may compute only almost what it should."""

    def __init__(self, name: str, factor: float = 1.0) -> None:
        self._open, self._factor = ENGINES[name], factor
        self.asked = 0

    def __call__(self, store_dir: Path, trunk: str, precision: Precision) -> Engine:
        self._engine = self._open(store_dir, trunk, precision)
        self.nbytes, self.parallel = self._engine.nbytes, self._engine.parallel
        return self

    def features(self, batch: Batch) -> torch.Tensor:
        self.asked += len(batch["pixels"])
        return self._engine.features(batch) * self._factor


def watched(monkeypatch: pytest.MonkeyPatch, name: str, factor: float = 1.0) -> Watched:
    engine = Watched(name, factor)
    monkeypatch.setitem(ENGINES, name, engine)  # an engine is chosen by name, and there is no broken one
    return engine


def test_an_engine_that_drifts_is_not_served_from(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, "openvino", 1.001)
    frozen.export()
    assert frozen.newest().card["parity"]["engine"] == "torch"
    assert any("openvino does not serve this model: its logits differ by" in line for line in frozen.log())


def test_where_every_engine_drifts_nothing_is_published(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("openvino", "torch"):
        watched(monkeypatch, name, 1.001)
    with pytest.raises(FinetunedError) as refusal:
        frozen.export()
    assert refusal.value.code == "parity_failed"
    assert (frozen.models(), frozen.folders()) == ([], [])
    assert list(frozen.store.glob("trunks/*/served/*")) == []


def by_openvino(job: Job) -> Job:
    """The same, of features that OpenVINO computed."""
    way = serving.way(job.attempt, job.network, job.data.train, torch.device("cpu"))
    assert not way.by_torch
    source = replace(job.kept, way=way, shelf=None)
    features = Extraction(job.attempt, job.data, source, job.network.head.in_features, seed=0).all(0.5)
    return replace(job, outcome=replace(job.outcome, features=features, source=source))


def test_features_of_another_engine_are_compared_with_those_of_pytorch(
    frozen: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = by_openvino(frozen)
    reference = watched(monkeypatch, "torch")
    quick.export()
    assert reference.asked == 16
    assert quick.newest().card["parity"]["engine"] == "openvino"


def test_an_engine_that_drifted_in_the_training_too_is_found_out(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(monkeypatch, "openvino", 1.001)
    with pytest.raises(FinetunedError) as refusal:
        by_openvino(frozen).export()
    assert refusal.value.code == "parity_failed"


def test_another_head_on_the_same_trunk_and_data_needs_no_pass_of_its_own(
    frozen: Job, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = watched(monkeypatch, "openvino")
    frozen.export()
    assert engine.asked == 24
    (kept,) = frozen.store.glob("trunks/*/served/*/*.safetensors")
    assert load_file(kept)["features"].shape == (24, frozen.backbone.architecture.width)
    second = frozen.again(started(database, tmp_path))
    torch.nn.init.normal_(second.network.head.weight, std=3.0)
    second.export()
    assert engine.asked == 24
    parity = second.newest().card["parity"]
    assert (parity["reused"], parity["items"], parity["passed"]) == (True, 24, True)
    assert parity["max_abs_logit_diff"] <= 1e-4


def test_what_was_kept_is_compared_with_what_was_trained(frozen: Job, database: Database, tmp_path: Path) -> None:
    frozen.export()
    second = frozen.again(started(database, tmp_path))
    (kept,) = frozen.store.glob("trunks/*/served/*/*.safetensors")
    save_file({"features": load_file(kept)["features"] + 0.01}, kept)
    second.export()
    assert second.newest().card["parity"]["engine"] == "torch"


def precise(job: Job) -> Job:
    """The same under FINETUNED_SERVING_PRECISION=auto."""
    settings = job.attempt.settings.model_copy(update={"serving_precision": "auto"})
    attempt = Attempt(job.attempt.database, settings, job.attempt.claim, job.attempt.directory)
    return replace(job, attempt=attempt)


def test_bfloat16_is_measured_only_where_the_operator_wants_it(frozen: Job) -> None:
    frozen.export()
    assert "bf16" not in frozen.newest().card["parity"]


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the CPU has none, OpenVINO emulates it: slowly, with the same rounding."""
    monkeypatch.setattr(processors, "has_bfloat16", lambda: True)


def test_bfloat16_is_not_emulated(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "has_bfloat16", lambda: False)
    precise(frozen).export()
    parity = frozen.newest().card["parity"]
    assert (parity["engine"], parity["passed"], "bf16" in parity) == ("openvino", True, False)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_passes_where_it_answers_alike(frozen: Job) -> None:
    with torch.no_grad():
        frozen.network.head.weight.mul_(0.01)  # probabilities that hardly move
        frozen.network.head.bias.copy_(torch.tensor([1.0, 0.0]))
    precise(frozen).export()
    gate = frozen.newest().card["parity"]["bf16"]
    assert (gate["items"], gate["labels_changed"], gate["passed"]) == (24, 0, True)
    assert gate["max_probability_change"] <= 0.01


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_fails_where_it_moves_probabilities(frozen: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    class Coarse(Watched):
        def __call__(self, store_dir: Path, trunk: str, precision: Precision) -> Engine:
            self._factor = 100.0 if precision == "bf16" else 1.0
            return super().__call__(store_dir, trunk, precision)

    monkeypatch.setitem(ENGINES, "openvino", Coarse("openvino"))
    precise(frozen).export()
    parity = frozen.newest().card["parity"]
    assert (parity["engine"], parity["precision"], parity["passed"]) == ("openvino", "f32", True)
    assert parity["bf16"]["max_probability_change"] > 0.01
    assert parity["bf16"]["passed"] is False


def test_a_damaged_certificate_is_measured_anew(frozen: Job, database: Database, tmp_path: Path) -> None:
    frozen.export()
    (kept,) = frozen.store.glob("trunks/*/served/*/*.safetensors")
    kept.write_bytes(b"no tensors")
    second = frozen.again(started(database, tmp_path))
    second.export()
    assert second.newest().card["parity"]["reused"] is False
