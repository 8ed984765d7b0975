"""Checkpoints as clients see them."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from app.deps import Closed, Time, rfc3339
from models_store import checkpoints
from models_store.database.tables import CheckpointRow
from models_store.spec import Name

Architecture = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class CheckpointForm(Closed):
    """The fields beside the file."""

    name: Name
    architecture: Architecture = Field(
        description="The backbone whose keys and shapes fit a part of the checkpoint, or `plugin/NAME`.",
        examples=["torchvision/resnet18", "plugin/autoencoder"],
    )


class Checkpoint(BaseModel):
    """An uploaded checkpoint, of which tensors alone were kept."""

    id: str = Field(examples=["ckpt_01kaq3v9c0xg2f6n6q1w9zr8ya"])
    object: Literal["checkpoint"] = "checkpoint"
    name: str
    architecture: str = Field(examples=["plugin/autoencoder"])
    submodules: list[str] = Field(description="Its parts, by dotted names.", examples=[["encoder", "decoder"]])
    fits: list[str] = Field(
        description='The parts that a job may name in `submodule`; `""` is all of it.', examples=[["", "encoder"]]
    )
    default_submodule: str | None = Field(description="What a job that names none gets; null where it has to.")
    sha256: str = Field(description="Of the stored tensors.")
    bytes: int
    created_at: Time

    @classmethod
    def of(cls, row: CheckpointRow) -> Self:
        """The row as clients see it."""
        same = ("id", "name", "architecture", "sha256", "bytes")
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in same},
                "submodules": [part["name"] for part in row.submodules if part["name"]],
                "fits": checkpoints.fitting(row, "all", "submodule"),
                "default_submodule": checkpoints.default_submodule(row),
                "created_at": rfc3339(row.created_at),
            }
        )
