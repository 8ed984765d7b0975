"""Entries of the mirror as clients see them."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.deps import Closed, Time

BackboneName = Annotated[str, Field(min_length=1, max_length=200, examples=["timm/tf_efficientnet_lite0"])]
WeightsName = Annotated[str, Field(min_length=1, max_length=200, examples=["in1k"])]


class WeightsNames(Closed):
    """Which backbone, and which of its weights."""

    backbone: BackboneName
    weights: WeightsName = "DEFAULT"


class MirroredWeights(BaseModel):
    """Weights that can be loaded here without a hub."""

    backbone: str
    weights: str = Field(description="The concrete name, also where DEFAULT was said.")
    sha256: str
    bytes: int
    mapped: str = Field(description="How names in the file were matched to the library's.")
    added_at: Time
