"""``/v2``: what the Open Inference Protocol tells of the service and of its models."""

from importlib.metadata import version as installed
from typing import Any, Final

from fastapi import APIRouter, Response

from app.deps import CallerDep, Services, ServicesDep
from app.errors import responses
from app.models.refs import NamePath, VersionPath
from app.openinference.answering import Address
from app.openinference.schemas import Live, ModelMetadata, ModelReady, Ready, Server, TensorMetadata
from app.operating.endpoints import database_answers
from models_store import aliases, pixels, registry
from models_store.database.tables import ModelRow

router = APIRouter(prefix="/v2", tags=["open inference protocol"])
_OPEN: Final = responses(needs_key=False)
_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {**_OPEN, 503: {"model": Ready, "description": "Not ready."}}
_ANY: Final = -1


@router.get("/health/live", responses=_OPEN)
async def server_live() -> Live:
    """The process lives; as `GET /healthz`."""
    return Live()


@router.get("/health/ready", responses=_NOT_READY)
def server_ready(response: Response, services: ServicesDep) -> Ready:
    """This process can answer requests; as `GET /readyz/api`. Models are loaded when they are asked for."""
    ready = database_answers(services)
    response.status_code = 200 if ready else 503
    return Ready(ready=ready)


@router.get("", responses=responses())
def server_metadata(_caller: CallerDep) -> Server:
    """Name, version and extensions of the service."""
    return Server(version=installed("finetuned"))


@router.get("/models/{ref:model}/ready", responses=responses(404, 409))
def model_ready(ref: NamePath, services: ServicesDep, caller: CallerDep) -> ModelReady:
    """The model is there, and is loaded, if need be, by the first request."""
    return _ready(services, Address(ref, None, caller))


@router.get("/models/{ref:model}/versions/{version}/ready", responses=responses(404, 409))
def version_ready(ref: NamePath, version: VersionPath, services: ServicesDep, caller: CallerDep) -> ModelReady:
    """As `GET /v2/models/{ref}/ready`, for this version of the model."""
    return _ready(services, Address(ref, version, caller))


@router.get("/models/{ref:model}", responses=responses(404, 409))
def model_metadata(ref: NamePath, services: ServicesDep, caller: CallerDep) -> ModelMetadata:
    """What the model takes and gives. Give it one of its inputs."""
    return _metadata(services, Address(ref, None, caller))


@router.get("/models/{ref:model}/versions/{version}", responses=responses(404, 409))
def version_metadata(ref: NamePath, version: VersionPath, services: ServicesDep, caller: CallerDep) -> ModelMetadata:
    """As `GET /v2/models/{ref}`, for this version of the model."""
    return _metadata(services, Address(ref, version, caller))


def _ready(services: Services, address: Address) -> ModelReady:
    with services.database.read() as session:
        address.find(session)
    return ModelReady(name=address.name)


def _metadata(services: Services, address: Address) -> ModelMetadata:
    with services.database.read() as session:
        row = registry.get(session, address.find(session).id, owner=None)
        plain = address.name == row.name
        versions = aliases.versions(session, row) if plain else [row.version]
        return ModelMetadata(
            name=address.name,
            versions=[str(version) for version in versions],
            inputs=_inputs(row),
            outputs=_outputs(len(row.card["labels"])),
        )


def _inputs(row: ModelRow) -> list[TensorMetadata]:
    shape = pixels.shape(row.card["preprocessing"])
    if shape is None:
        return [TensorMetadata(name="text", datatype="BYTES", shape=[_ANY])]
    return [
        TensorMetadata(name="image", datatype="BYTES", shape=[_ANY]),
        TensorMetadata(name="pixels", datatype="FP32", shape=[_ANY, *shape]),
    ]


def _outputs(classes: int) -> list[TensorMetadata]:
    return [
        TensorMetadata(name="label", datatype="BYTES", shape=[_ANY]),
        TensorMetadata(name="score", datatype="FP32", shape=[_ANY]),
        TensorMetadata(name="probabilities", datatype="FP32", shape=[_ANY, classes]),
        TensorMetadata(name="logits", datatype="FP32", shape=[_ANY, classes]),
    ]
