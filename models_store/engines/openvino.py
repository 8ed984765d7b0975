"""OpenVINO on the CPU: the trunk's graph, compiled for the processor that is there.

Compiled for latency: one inference at a time takes all cores, so that a lone request is answered soonest; batches keep
it busy under load (https://docs.openvino.ai, "High-level Performance Hints").
"""

import queue
from pathlib import Path

import openvino
import torch

from models_store.backbones.family import Batch
from models_store.engines.conversion import XML, folder, intact, meta
from models_store.engines.engine import EngineUnavailableError, Precision


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
    known = meta(directory)
    if known is None:
        raise EngineUnavailableError("the trunk was not converted")
    if known["refused"]:
        raise EngineUnavailableError(known["refused"])
    if not intact(store_dir, trunk):
        raise EngineUnavailableError("its graph is damaged on disk; the next job on it converts it anew")
    return compiled(directory / XML, known["inputs"], precision)


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
        taken = graph.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except RuntimeError as error:
        raise EngineUnavailableError(f"OpenVINO does not compile it: {error}") from error
    if taken != precision:
        raise EngineUnavailableError(f"this processor computes in {taken}, not in {precision}")
    size = model.with_suffix(".bin").stat().st_size if isinstance(model, Path) else 0
    return OpenVinoEngine(graph, inputs, size)
