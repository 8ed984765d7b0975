"""From a trunk in PyTorch to its graph for OpenVINO, stored with the trunk, and only where both agree."""

import contextlib
import errno
import json
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
from models_store.engines.engine import EngineUnavailableError
from models_store.errors import UnavailableError
from models_store.feature_cache.code import code_sha256
from models_store.storage.needs import GRAPH

XML: Final = "model.xml"
BIN: Final = "model.bin"
META: Final = "conversion.json"
TOLERANCE: Final = 1e-4
"""Of the largest feature: the difference up to which graph and PyTorch agree. Usual is 1e-6."""
TRACED: Final = (2, 3)
"""Items of the batch that is traced: that of these numbers with which the comparison is not made."""
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
    return trunks.directory(store_dir, trunk) / GRAPH


def ensure(store_dir: Path, trunk: str, module: nn.Module, architecture: Architecture, items: Batch) -> str | None:
    """Convert a stored trunk, once for all; tells why it is not, where OpenVINO cannot or does not agree.

    Another version of OpenVINO, or of the code that the module is made of, begins anew; so does a damaged graph.

    Raises:
        UnavailableError: ``trunk_missing``, the trunk itself is gone.

    Args:
        module: the trunk, on the CPU.
        items: a collated batch of real items to compare on, at least one.
    """
    known = meta(folder(store_dir, trunk)) or {}
    code = code_sha256([*module.modules(), FAMILIES[architecture.family]], repr(module))
    made = {"openvino": openvino.__version__, "code": code}
    if made.items() <= known.items() and (known["refused"] or intact(store_dir, trunk)):
        return known["refused"] or None
    if not trunks.is_there(store_dir, trunk):
        raise UnavailableError("trunk_missing", "The trunk was removed while a job used it. Retry the job.")
    with temporary_directory_beside(folder(store_dir, trunk)) as temporary:
        try:
            _convert(module.eval(), architecture, items, temporary)
            refused = ""
        except EngineUnavailableError as error:
            refused = str(error)
            for name in (XML, BIN):
                (temporary / name).unlink(missing_ok=True)
        files = {name: sha256_file(temporary / name) for name in (XML, BIN)} if not refused else {}
        told = {
            "openvino": openvino.__version__,
            "code": code,
            "inputs": list(items),
            "files": files,
            "refused": refused,
        }
        write_atomic(temporary / META, json.dumps(told, indent=2).encode())
        if folder(store_dir, trunk).is_dir():  # damaged, or refused by an earlier version
            _set_aside(folder(store_dir, trunk))
        publish_directory(temporary, folder(store_dir, trunk))
    return refused or None


def meta(directory: Path) -> dict[str, Any] | None:
    """What is known of a conversion; None where there is none, or nothing that can be read."""
    try:
        found = json.loads((directory / META).read_bytes())
    except (OSError, ValueError):
        return None
    return (
        found
        if isinstance(found, dict) and {"openvino", "code", "inputs", "files", "refused"} <= found.keys()
        else None
    )


def intact(store_dir: Path, trunk: str) -> bool:
    """Whether the bytes of a graph are those that were written."""
    directory = folder(store_dir, trunk)
    files = (meta(directory) or {}).get("files") or {}
    try:
        return files.keys() == {XML, BIN} and all(sha256_file(directory / name) == files[name] for name in files)
    except OSError:
        return False


def _set_aside(directory: Path) -> None:
    """Out of the way at once: a reader sees all of it or nothing."""
    with temporary_directory_beside(directory) as old, contextlib.suppress(OSError):
        directory.rename(old / directory.name)


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
            with torch.no_grad():  # no inference mode: what a backbone keeps of it could not be trained with later
                expected = FAMILIES[architecture.family].extract(module, items, architecture).float()
            difference = _difference(engine.features(items), expected)
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
    count = next(number for number in TRACED if number != len(tensor))
    few = tensor[torch.arange(count) % len(tensor)]
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
