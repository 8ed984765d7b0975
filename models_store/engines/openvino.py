"""OpenVINO on the CPU: the trunk's graph, compiled for the processor that is there.

Compiled for latency: one inference at a time takes all cores, so that a lone request is answered soonest; batches keep
it busy under load (https://docs.openvino.ai, "High-level Performance Hints").
"""

import json
import queue
from pathlib import Path
from typing import Any

import openvino
import torch

from models_store.artifacts import sha256_file
from models_store.backbones.family import Batch
from models_store.engines.conversion import BIN, META, XML, folder
from models_store.engines.engine import EngineUnavailableError, Precision
from models_store.errors import UnavailableError


class OpenVinoEngine:
    """A compiled graph.

    Args:
        compiled: for one device and precision.
        inputs: which tensor of a batch is which input of the graph.
        size: bytes of its weights.
    """

    def __init__(self, compiled: openvino.CompiledModel, inputs: list[str], size: int) -> None:
        self._compiled, self._inputs = compiled, inputs
        self._idle: queue.LifoQueue[openvino.InferRequest] = queue.LifoQueue()
        self.nbytes = size

    def features(self, batch: Batch) -> torch.Tensor:
        """See ``Engine.features``. A request of OpenVINO serves one caller at a time, so each caller has its own."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            arrays = [batch[name].contiguous().numpy() for name in self._inputs]
            (values,) = request.infer(arrays, share_inputs=True).to_tuple()
            return torch.from_numpy(values)
        finally:
            self._idle.put(request)


def open_trunk(store_dir: Path, trunk: str, precision: Precision) -> OpenVinoEngine:
    """See ``Opener``; only for trunks that were converted, see :mod:`models_store.engines.conversion`."""
    directory = folder(store_dir, trunk)
    try:
        meta: dict[str, Any] = json.loads((directory / META).read_bytes())
    except FileNotFoundError as error:
        raise EngineUnavailableError("the trunk was not converted") from error
    if meta["refused"]:
        raise EngineUnavailableError(meta["refused"])
    if {name: sha256_file(directory / name) for name in (XML, BIN)} != meta["files"]:
        raise UnavailableError("trunk_damaged", "The model's trunk is damaged on disk. Restore it from a backup.")
    return compiled(directory / XML, meta["inputs"], precision)


def compiled(model: Path | openvino.Model, inputs: list[str], precision: Precision) -> OpenVinoEngine:
    """Compile a graph for this CPU.

    Raises:
        EngineUnavailableError: it cannot be.
    """
    options = {
        "INFERENCE_PRECISION_HINT": precision,  # else OpenVINO takes bfloat16 by itself where the CPU has it
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # the cores belong to other processes too
    }
    try:
        graph = openvino.Core().compile_model(model, "CPU", options)
    except RuntimeError as error:
        raise EngineUnavailableError(f"OpenVINO does not compile it: {error}") from error
    size = model.with_suffix(".bin").stat().st_size if isinstance(model, Path) else 0
    return OpenVinoEngine(graph, inputs, size)
