"""The Open Inference Protocol's objects, as far as models of this service have them."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.deps import Closed
from app.predictions.schemas import MAX_INPUT_CHARACTERS
from app.settings import MAX_INPUTS

InputName = Literal["text", "image", "pixels"]
OutputName = Literal["label", "score", "probabilities", "logits"]
Datatype = Literal["BYTES", "FP32"]
Dimension = Annotated[int, Field(ge=1, lt=2**31)]
BINARY: Final = "binary_tensor_data"
"""What servers call the extension by which tensors follow the JSON as bytes."""


class Live(BaseModel):
    """The process lives."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Whether requests can be answered."""

    ready: bool


class ModelReady(BaseModel):
    """A model that can be asked."""

    name: str = Field(description="As it was asked for.")
    ready: Literal[True] = True


class Server(BaseModel):
    """The service."""

    name: Literal["finetuned"] = "finetuned"
    version: str = Field(examples=["0.1.0"])
    extensions: list[str] = Field([BINARY], examples=[[BINARY]])


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives; -1 stands for any length."""

    name: str = Field(examples=["pixels"])
    datatype: Datatype
    shape: list[int] = Field(examples=[[-1, 3, 224, 224]])


class ModelMetadata(BaseModel):
    """What a model takes and gives. It takes any one of its inputs."""

    name: str = Field(description="As it was asked for.", examples=["ants-or-bees"])
    versions: list[str] = Field(
        description="That may be asked for under this name; an id, or an alias, has one.", examples=[["1", "2", "3"]]
    )
    platform: Literal["pytorch_finetuned"] = "pytorch_finetuned"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata] = Field(description="`logits` are given only where they are asked for.")


def _whole(given: Any) -> Any:
    """JSON has one kind of number, and by its schemas 8.0 is an integer."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


class _Parameters(BaseModel):
    """Parameters are how clients extend the protocol: those that mean nothing here are ignored."""

    model_config = ConfigDict(frozen=True, strict=True)


class RequestParameters(_Parameters):
    """Of the whole request. Others, such as Triton's `priority`, are ignored."""

    binary_data_output: bool = Field(False, description="Give all outputs as bytes behind the JSON.")


class InputParameters(_Parameters):
    """Of an input. Others are ignored."""

    binary_data_size: Annotated[int, Field(ge=0, lt=2**40), BeforeValidator(_whole)] | None = Field(
        None, description="The tensor stands behind the JSON, in so many bytes."
    )


class OutputParameters(Closed):
    """Of an output. Others, such as Triton's `classification`, would change it, and are refused."""

    model_config = ConfigDict(strict=True)

    binary_data: bool | None = Field(None, description="Give this output as bytes behind the JSON, or not.")


class InputTensor(Closed):
    """The items, as one tensor."""

    name: InputName = Field(
        description="What the model's metadata names: `text` for texts; for images `image` (whole files; in JSON as "
        "base64), or `pixels`, which are preprocessed already."
    )
    shape: list[Dimension] = Field(min_length=1, max_length=4, examples=[[2]])
    datatype: Datatype
    parameters: InputParameters = InputParameters()
    data: Any = Field(
        None,
        description="In row-major order, flat or nested; left out where `binary_data_size` is given.",
        json_schema_extra={
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "string", "maxLength": MAX_INPUT_CHARACTERS},
                    {"type": "number"},
                    {"type": "array", "items": {}},
                ]
            },
        },
        examples=[["a film that stays with you", "two hours that I want back"]],
    )


class OutputRequest(Closed):
    """An output that is wanted."""

    name: OutputName
    parameters: OutputParameters = OutputParameters()


class InferRequest(Closed):
    """Some items for one model."""

    id: str | None = Field(None, max_length=1000, description="Comes back in the answer.")
    model_name: str | None = Field(
        None, max_length=1000, description="Some clients repeat it here; the address counts."
    )
    model_version: str | None = Field(
        None, max_length=1000, description="Some clients repeat it here; the address counts."
    )
    parameters: RequestParameters = RequestParameters()
    inputs: list[InputTensor] = Field(
        min_length=1,
        max_length=1,
        description=f"One tensor, of at most {MAX_INPUTS:,} items or what the operator set.",
        examples=[[{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a film that stays with you"]}]],
    )
    outputs: list[OutputRequest] | None = Field(
        None, max_length=4, description="Left out: `label`, `score` and `probabilities`."
    )


class OutputTensor(BaseModel):
    """One output of all items."""

    name: OutputName
    shape: list[int] = Field(examples=[[2]])
    datatype: Datatype
    parameters: dict[str, int] | None = Field(
        None,
        description="`binary_data_size`: the tensor stands behind the JSON, in so many bytes.",
        examples=[{"binary_data_size": 8}],
    )
    data: list[str] | list[float] | None = Field(
        None, description="In row-major order.", examples=[["good", "bad"], [0.98, 0.71]]
    )


class InferResponse(BaseModel):
    """What the model says. `probabilities` and `logits` are in the order of the model's `labels`."""

    model_name: str = Field(description="As it was asked for.", examples=["ants-or-bees"])
    model_version: str = Field(examples=["3"])
    id: str | None = Field(None, description="That of the request, if it had one.")
    parameters: dict[str, str] = Field(
        description="`model`: the id of the model that answered.",
        examples=[{"model": "mdl_01kaq4f1m2b6w8p3s5t7v9x0z1"}],
    )
    outputs: list[OutputTensor]

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Checked, as every answer is."""
        return cls.model_validate(fields)
