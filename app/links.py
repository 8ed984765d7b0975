"""Ways to go on from an answer, as OpenAPI's links (3.1, "Link Object"): where there is an id, what takes that id.

Whoever reads the document, a person or a program, need not guess that a job's id goes into ``/jobs/{job_id}/events``.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = dict[str, Any]
Answer = tuple[str, str]
"""Operation and status."""

_SHOWN: Final = "$response.body#/id"
_FIRST: Final = "$response.body#/data/0/id"

_SHOWING: Final[Mapping[str, Mapping[Answer, str]]] = {
    "dataset_id": {
        ("create_dataset", "201"): _SHOWN,
        ("create_dataset", "202"): _SHOWN,
        ("list_datasets", "200"): _FIRST,
        ("read_dataset", "200"): _SHOWN,
    },
    "job_id": {
        ("create_job", "202"): _SHOWN,
        ("retry_job", "202"): _SHOWN,
        ("cancel_job", "202"): _SHOWN,
        ("evaluate", "202"): _SHOWN,
        ("list_jobs", "200"): _FIRST,
        ("read_job", "200"): _SHOWN,
    },
    "ref": {
        ("list_models", "200"): _FIRST,
        ("read_model", "200"): _SHOWN,
        ("move_alias", "200"): _SHOWN,
    },
    "checkpoint_id": {
        ("create_checkpoint", "201"): _SHOWN,
        ("list_checkpoints", "200"): _FIRST,
        ("read_checkpoint", "200"): _SHOWN,
    },
    "key_id": {("create_key", "201"): _SHOWN, ("list_keys", "200"): _FIRST},
}
"""Which answers show an id, and where, by the parameter that takes it."""
_TAKING: Final[Mapping[str, tuple[str, ...]]] = {
    "dataset_id": ("read_dataset", "list_items", "delete_dataset"),
    "job_id": (
        "read_job",
        "read_events",
        "read_metrics",
        "read_job_report",
        "cancel_job",
        "retry_job",
        "delete_job",
    ),
    "ref": (
        "read_model",
        "read_model_report",
        "download_model",
        "model_metadata",
        "model_ready",
        "move_alias",
        "delete_model",
    ),
    "checkpoint_id": ("read_checkpoint", "delete_checkpoint"),
    "key_id": ("revoke_key",),
}
"""What takes it in its address, and nothing else that an answer tells."""
_GONE: Final[Mapping[str, tuple[str, str]]] = {
    "dataset_id": ("delete_dataset", "read_dataset"),
    "job_id": ("delete_job", "read_job"),
    "ref": ("delete_model", "read_model"),
    "checkpoint_id": ("delete_checkpoint", "read_checkpoint"),
}
"""What deletes, and what is 404 from then on."""
_OTHERS: Final[Mapping[tuple[Answer, str], Json]] = {
    (("list_items", "200"), "read_content"): {
        "parameters": {"dataset_id": "$request.path.dataset_id", "item_id": _FIRST},
    },
    (("read_dataset", "200"), "create_job"): {"requestBody": {"dataset": _SHOWN}},
    (("read_dataset", "200"), "preflight"): {"requestBody": {"dataset": _SHOWN}},
    (("read_model", "200"), "evaluate"): {
        "parameters": {"ref": _SHOWN},
        "requestBody": {"dataset": "$response.body#/dataset"},
    },
    (("read_model", "200"), "predict"): {"requestBody": {"model": _SHOWN}},
    (("move_alias", "200"), "remove_alias"): {
        "parameters": {"ref": "$request.path.ref", "alias": "$request.path.alias"},
    },
    (("add_weights", "201"), "remove_weights"): {
        "parameters": {"backbone": "$response.body#/backbone", "weights": "$response.body#/weights"},
    },
}


def _all() -> Iterator[tuple[Answer, str, Json]]:
    for parameter, answers in _SHOWING.items():
        for answer, expression in answers.items():
            for target in _TAKING[parameter]:
                if target != answer[0]:
                    yield answer, target, {"parameters": {parameter: expression}}
    for parameter, (deletes, reads) in _GONE.items():
        yield (deletes, "204"), reads, {"parameters": {parameter: f"$request.path.{parameter}"}}
    for (answer, target), more in _OTHERS.items():
        yield answer, target, more


def _by_answer() -> dict[Answer, Json]:
    links: dict[Answer, Json] = defaultdict(dict)
    for answer, target, more in _all():
        links[answer][target] = {"operationId": target, **more}
    return dict(links)


LINKS: Final[Mapping[Answer, Json]] = _by_answer()
"""OpenAPI's ``links`` of each answer that has any."""
