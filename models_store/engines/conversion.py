"""From a trunk in PyTorch to its graph for OpenVINO, stored with the trunk, and only where both agree."""

import errno
import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from models_store import trunks
from models_store.artifacts import publish_directory, sha256_file, temporary_directory_beside, write_atomic
from models_store.backbones import FAMILIES
from models_store.backbones.family import Architecture, Batch
from models_store.engines.eager import TorchEngine
from models_store.engines.engine import EngineUnavailableError

XML: Final = "model.xml"
BIN: Final = "model.bin"
META: Final = "conversion.json"
TOLERANCE: Final = 1e-4
"""Of the largest feature: the difference up to which graph and PyTorch agree. Usual is 1e-6."""
TRACED: Final = 2
"""Items of the batch that is traced; the comparison is made with another number."""
_MORE_TOKENS: Final = 3
_ELEMENTS: Final = {torch.float32: openvino.Type.f32, torch.int64: openvino.Type.i64}


class _Extractor(nn.Module):
    """The backbone with tensors as arguments, as a tracer wants it."""

    def __init__(self, module: nn.Module, architecture: Architecture, inputs: list[str]) -> None:
        super().__init__()
        self.module = module
        self._architecture, self._inputs = architecture, inputs

    def forward(self, *tensors: Tensor) -> Tensor:
        batch = dict(zip(self._inputs, tensors, strict=True))
        return FAMILIES[self._architecture.family].extract(self.module, batch, self._architecture)


def folder(store_dir: Path, trunk: str) -> Path:
    """Where the graph of a trunk lies."""
    return trunks.directory(store_dir, trunk) / "openvino"


def ensure(store_dir: Path, trunk: str, module: nn.Module, architecture: Architecture, items: Batch) -> str | None:
    """Convert a stored trunk, once for all; tells why it is not, where OpenVINO cannot or does not agree.

    Another version of OpenVINO tries anew what an earlier one could not.

    Args:
        module: the trunk, on the CPU.
        items: a collated batch of real items to compare on, at least one.
    """
    known = _known(folder(store_dir, trunk))
    if known is not None and (not known["refused"] or known["openvino"] == openvino.__version__):
        return known["refused"] or None
    with temporary_directory_beside(folder(store_dir, trunk)) as temporary:
        try:
            _convert(module.eval(), architecture, items, temporary)
            refused = ""
        except EngineUnavailableError as error:
            refused = str(error)
            for name in (XML, BIN):
                (temporary / name).unlink(missing_ok=True)
        files = {name: sha256_file(temporary / name) for name in (XML, BIN)} if not refused else {}
        meta = {"openvino": openvino.__version__, "inputs": list(items), "files": files, "refused": refused}
        write_atomic(temporary / META, json.dumps(meta, indent=2).encode())
        if known is not None:
            shutil.rmtree(folder(store_dir, trunk), ignore_errors=True)  # the refusal of an earlier version
        publish_directory(temporary, folder(store_dir, trunk))
    return refused or None


def _known(directory: Path) -> dict[str, Any] | None:
    try:
        meta: dict[str, Any] = json.loads((directory / META).read_bytes())
    except FileNotFoundError:
        return None
    return meta


def _convert(module: nn.Module, architecture: Architecture, items: Batch, directory: Path) -> None:
    """Write graph and weights.

    Raises:
        EngineUnavailableError: with the reason.
    """
    from models_store.engines.openvino import compiled  # noqa: PLC0415 - it reads what this module writes

    with _quiet():
        try:
            graph = _graph(module, architecture, items)
        except Exception as error:  # tracers and front ends fail in every way
            raise EngineUnavailableError(f"{type(error).__name__}: {str(error)[:300]}") from error
        _save(graph, directory)
        engine = compiled(directory / XML, list(items), "f32")
        try:
            difference = _difference(engine.features(items), TorchEngine(module, architecture).features(items))
        except RuntimeError as error:
            raise EngineUnavailableError(f"it does not run other batches: {str(error)[:300]}") from error
    if not difference <= TOLERANCE:
        raise EngineUnavailableError(f"its features differ from PyTorch's by {difference:.2g} of the largest")


def _save(graph: openvino.Model, directory: Path) -> None:
    """Write it in full precision.

    Raises:
        OSError: OpenVINO has one error for all that can go wrong in writing; what does is the disk.
    """
    try:
        openvino.save_model(graph, directory / XML, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(errno.ENOSPC, f"the graph could not be written: {error}") from error


def _graph(module: nn.Module, architecture: Architecture, items: Batch) -> openvino.Model:
    """Any number of items; texts of any length, images of one size.

    By OpenVINO's front end itself: ``openvino.convert_model``, which wraps it, reports its use to the vendor.
    """
    example = tuple(_example(tensor) for tensor in items.values())
    with torch.no_grad():
        extractor = _Extractor(module, architecture, list(items)).eval()
        traced: Any = torch.jit.trace(extractor, example, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, example_input=example)  # must outlive the conversion
        front_end = FrontEndManager().load_by_framework("pytorch")
        graph = front_end.convert(front_end.load(decoder))
    for given, tensor in zip(graph.inputs, items.values(), strict=True):
        shape = [-1, *([-1] if _is_text(tensor) else tensor.shape[1:])]
        given.get_node().set_element_type(_ELEMENTS[tensor.dtype])
        given.get_node().set_partial_shape(openvino.PartialShape(shape))
    graph.validate_nodes_and_infer_types()
    return graph


def _example(tensor: Tensor) -> Tensor:
    """Other numbers of items and tokens than the comparison has, so that none of them is taken for a constant."""
    few = tensor[torch.arange(TRACED) % len(tensor)]
    return nn.functional.pad(few, (0, _MORE_TOKENS)) if _is_text(tensor) else few


def _is_text(tensor: Tensor) -> bool:
    return tensor.dim() == 2


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns of every Python value that it meets; whether one mattered, the comparison tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
