"""OpenVINO on the CPU: the trunk's graph, compiled for the processor that is there.

Compiled twice. A batch that is alone takes all cores, so that a lone request is answered soonest. Under load several
are computed at once by fewer cores each: a core that has other work to do as well then holds up its own batch only;
else all would wait for it at every layer (https://docs.openvino.ai, "High-level Performance Hints", "Streams").
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Final

import openvino
import torch

from models_store import processors
from models_store.backbones.family import Batch
from models_store.engines.conversion import XML, folder, intact, meta
from models_store.engines.engine import EngineUnavailableError, Precision

_MOST_AT_ONCE: Final = 4
"""Each has cores of its own: with more the batches become small, and the memory for them large."""
_Options = dict[str, str | int | bool]
_CORE: Final = openvino.Core()
"""One for the whole process, never dropped. Its plugin gives the thread that compiles first a stack for signals, and
frees that at its own end, also while it is in use: with two of them, dropped in the order in which they were made, the
next signal with a handler (as SIGTERM, which asks a job to stop) was a segmentation fault."""


class _Graph:
    """A compiled graph; a request of OpenVINO serves one caller at a time, so each caller has its own."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._compiled = compiled
        self._idle: LifoQueue[openvino.InferRequest] = LifoQueue()

    def infer(self, arrays: list[object]) -> torch.Tensor:
        """Its only output."""
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            (values,) = request.infer(arrays, share_inputs=True).to_tuple()
            return torch.from_numpy(values)
        finally:
            self._idle.put(request)


class OpenVinoEngine:
    """A compiled graph.

    Args:
        compiled: gives the graph for so many batches at once.
        inputs: which tensor of a batch is which input of the graph.
        size: bytes of its weights.

    Raises:
        EngineUnavailableError: it cannot be compiled.
    """

    def __init__(self, compiled: Callable[[int], openvino.CompiledModel], inputs: list[str], size: int) -> None:
        self.parallel = min(processors.usable(), _MOST_AT_ONCE)
        self._compiled, self._inputs, self._size = compiled, inputs, size
        self._for_one = _Graph(compiled(1))
        self._for_many: _Graph | None = None
        self._lock, self._compiling = threading.Lock(), threading.Lock()
        self._running = 0

    @property
    def nbytes(self) -> int:
        """See ``Engine.nbytes``; each graph has weights laid out for itself."""
        return self._size * (1 if self._for_many in {None, self._for_one} else 2)

    def features(self, batch: Batch) -> torch.Tensor:
        """See ``Engine.features``."""
        arrays: list[object] = [batch[name].contiguous().numpy() for name in self._inputs]
        with self._graph() as graph:
            return graph.infer(arrays)

    @contextmanager
    def _graph(self) -> Iterator[_Graph]:
        with self._lock:
            alone = self._running == 0
            self._running += 1
        try:
            yield self._for_one if alone or self.parallel == 1 else self._many()
        finally:
            with self._lock:
                self._running -= 1

    def _many(self) -> _Graph:
        """Compiled when it is needed for the first time: it takes tenths of a second, and memory."""
        with self._compiling:
            if self._for_many is None:
                self._for_many = self._made(self.parallel)
            return self._for_many

    def _made(self, at_once: int) -> _Graph:
        """What cannot be had any more (the files may be gone, with the last model on them) is done without."""
        try:
            return _Graph(self._compiled(at_once))
        except EngineUnavailableError:
            return self._for_one


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
    if precision == "bf16" and not processors.has_bfloat16():  # OpenVINO would emulate it, fifty times slower
        raise EngineUnavailableError("this processor has no instructions for bfloat16")
    options: _Options = {
        "INFERENCE_PRECISION_HINT": precision,  # else OpenVINO takes bfloat16 by itself where the CPU has it
        "ENABLE_CPU_PINNING": False,  # the cores belong to other processes too
    }
    size = model.with_suffix(".bin").stat().st_size if isinstance(model, Path) else 0
    return OpenVinoEngine(lambda at_once: _compiled(model, {**options, **_streams(at_once)}), inputs, size)


def _streams(at_once: int) -> _Options:
    if at_once == 1:
        return {"PERFORMANCE_HINT": "LATENCY"}
    return {"NUM_STREAMS": at_once, "INFERENCE_NUM_THREADS": processors.usable()}


def _compiled(model: Path | openvino.Model, options: _Options) -> openvino.CompiledModel:
    try:
        graph = _CORE.compile_model(model, "CPU", options)
        taken = graph.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except RuntimeError as error:
        raise EngineUnavailableError(f"OpenVINO does not compile it: {error}") from error
    wanted = options["INFERENCE_PRECISION_HINT"]
    if taken != wanted:
        raise EngineUnavailableError(f"this processor computes in {taken}, not in {wanted}")
    return graph
