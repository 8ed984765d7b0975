"""What schemathesis must know beyond the document: how files look, what to leave alone, which refusals are fair.

Loaded by the process of schemathesis; see `running.py` for its environment.
"""

import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import schemathesis
from pydantic import ValidationError
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import EnsureResourceAvailability
from schemathesis.transport.serialization import Binary

from app.openinference.requests import HEAD_LENGTH
from app.openinference.schemas import InferRequest

_FOLDER: Final = Path(os.environ["CONTRACT_FOLDER"])
_LONGEST_WAIT: Final = int(os.environ["CONTRACT_LONGEST_WAIT"])
_KEPT: Final = frozenset((_FOLDER / "kept.txt").read_text().split())
_FILES: Final[Mapping[str, tuple[Binary, ...]]] = {
    operation: tuple(Binary((_FOLDER / name).read_bytes()) for name in names)
    for operation, names in {
        "create_dataset": ("films.csv", "films.jsonl", "pictures.zip"),
        "create_checkpoint": ("autoencoder.safetensors",),
        "add_weights": ("efficientnet.safetensors",),
        "predict": ("bee.png",),
        "infer": ("image.json", "text.json"),
        "infer_version": ("image.json", "text.json"),
    }.items()
}
"""Operation → contents that its field ``file``, or a body of bytes, may have."""
_INFERENCE: Final = frozenset({"infer", "infer_version"})
_TENSORS: Final = tuple(json.loads((_FOLDER / name).read_bytes())["inputs"] for name in ("image.json", "text.json"))
_UNREADABLE: Final = frozenset({"unreadable_weights", "unsafe_weights"})
"""The file's content is what a schema cannot describe."""
_NO_SUCH_WEIGHTS: Final = frozenset({"unknown_backbone", "unknown_weights"})
"""The names that libraries have are thousands."""
_NO_SUCH_JOB: Final = _NO_SUCH_WEIGHTS | {
    "idempotency_mismatch",
    "task_mismatch",
    "lora_needs_text",
    "submodule_unexpected",
    "unknown_submodule",
    "ambiguous_submodule",
    "preprocessing_fixed",
}
"""Fields that are right one by one do not go together, or not with the data set or the checkpoint that they name."""
_NO_SUCH_INPUT: Final = frozenset(
    {"unreadable_image", "image_too_large", "invalid_base64", "empty_text", "invalid_text", "not_utf8", "text_too_long"}
)
"""One bad input fails the whole request where the protocol has no error for an input alone."""
_NO_SUCH_TENSOR: Final = _NO_SUCH_INPUT | {"invalid_tensor", "invalid_pixels", "task_mismatch"}
"""A tensor's name, shape, datatype, data and length go together, and with the model."""
UNSAYABLE: Final[Mapping[str, frozenset[str]]] = {
    "create_dataset": frozenset({"idempotency_mismatch"}),
    "create_checkpoint": _UNREADABLE | _NO_SUCH_WEIGHTS | {"checkpoint_mismatch", "architecture_expected"},
    "add_weights": _UNREADABLE | _NO_SUCH_WEIGHTS | {"weights_mismatch", "not_mirrored"},
    "remove_weights": _NO_SUCH_WEIGHTS,
    "create_job": _NO_SUCH_JOB,
    "retry_job": _NO_SUCH_JOB,
    "preflight": _NO_SUCH_JOB,
    "evaluate": frozenset({"task_mismatch", "unknown_labels"}),
    "infer": _NO_SUCH_TENSOR,
    "infer_version": _NO_SUCH_TENSOR,
    "infer_like_hugging_face": _NO_SUCH_INPUT,
}
"""Operation → codes with which it refuses requests that have the described form, for what no schema can say."""


@schemathesis.hook
def filter_case(context: HookContext, case: Case[Any]) -> bool:
    """What every run needs is deleted by none."""
    del context
    return case.method != "DELETE" or not _KEPT & {str(value) for value in case.path_parameters.values()}


@schemathesis.hook
def map_body(context: HookContext, body: Any) -> Any:
    """Some files and tensors are what they are called, since none that chance makes ever is."""
    operation = _name(context.operation)
    real = _FILES.get(operation, ())
    if isinstance(body, Binary):
        return _real(body, real)
    if operation in _INFERENCE:
        return _with_real_tensor(body)
    if not isinstance(body, dict) or "file" not in body:
        return body
    given = body["file"]
    return {**body, "file": [_real(one, real) for one in given] if isinstance(given, list) else _real(given, real)}


def _with_real_tensor(body: Any) -> Any:
    """For three out of four that are inference requests of the described form; the others stay as they are."""
    try:
        InferRequest.model_validate(body)
    except ValidationError:
        return body
    choice = zlib.crc32(json.dumps(body, sort_keys=True).encode()) % 4
    return {**body, "inputs": _TENSORS[choice % 2]} if choice else body


def _real(given: object, real: Sequence[Binary]) -> object:
    """For three files out of four; which one, follows from what chance has made."""
    if not real or not isinstance(given, Binary):
        return given
    choice = zlib.crc32(given.data) % (4 * len(real))
    return real[choice % len(real)] if choice >= len(real) else given


@schemathesis.hook
def map_headers(context: HookContext, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    """Nobody waits for longer than the run has time for; three of four requests do not say where their JSON ends."""
    del context
    if headers is None:  # the operation takes none
        return None
    kept = {name: value for name, value in headers.items() if name != HEAD_LENGTH or not _is_to_go(str(value))}
    return {name: _shortened(value) if name.lower() == "prefer" else value for name, value in kept.items()}


def _is_to_go(head_length: str) -> bool:
    """Of the lengths that have their form; none that chance makes ever is that of the JSON."""
    return re.fullmatch(r"[0-9]{1,12}", head_length) is not None and zlib.crc32(head_length.encode()) % 4 > 0


def _shortened(prefer: object) -> object:
    if not isinstance(prefer, str):
        return prefer
    return re.sub(r"(?<=wait=)\d+", lambda found: str(min(int(found[0]), _LONGEST_WAIT)), prefer)


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """A job's report is not the job: this 404 says that the job is there, and has none (yet)."""
    del context
    is_missing_report = response.status_code == 404 and response.json()["code"] == "report_not_found"
    return not (
        isinstance(failure, EnsureResourceAvailability)
        and _name(case.operation) == "read_job_report"
        and is_missing_report
    )


@schemathesis.check
def refused_for_what_no_schema_says(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """A request of the described form is not called malformed; where it makes no sense, the code says so."""
    del ctx
    has_the_form = case.meta is not None and case.meta.generation.mode.is_positive
    if has_the_form and response.status_code == 422:
        code = response.json()["code"]
        assert code in UNSAYABLE.get(_name(case.operation), ()) or _is_unsaid_of_bytes(case, code), code


def _is_unsaid_of_bytes(case: Case[Any], code: str) -> bool:
    """What JSON bytes begin with; that an image's bytes leave it to the address to name the model."""
    media_type = str(case.media_type)
    bare_image = _name(case.operation) == "predict" and media_type.startswith("image/")
    return code == "validation_error" and (media_type == "application/octet-stream" or bare_image)


def _name(operation: Any) -> str:
    return str(operation.definition.raw["operationId"])
