"""What clients of Hugging Face's inference ask, and what they expect."""

from typing import Any, Literal

from pydantic import Field

from app.deps import Closed
from app.predictions.schemas import Inputs, Score, TopK


class InferenceParameters(Closed):
    """How scores are wanted."""

    top_k: TopK | None = Field(None, description="How many classes to score; left out: 5.")
    function_to_apply: Literal["softmax", "none"] | None = Field(
        None,
        description="`softmax`, the default: calibrated probabilities; `none`: the raw logits. There is no `sigmoid`: "
        "a head that was trained by softmax gives nothing that it could be applied to.",
    )


class InferenceRequest(Closed):
    """Texts, or images in base64."""

    inputs: Inputs
    parameters: InferenceParameters | None = None
    options: dict[str, Any] | None = Field(
        None, description="Older clients say here how Hugging Face's own service should queue and cache. Ignored."
    )


Scores = list[Score]
Answer = Scores | list[Scores]
"""Flat for a single image; for texts, and for a list of images, a list for each input."""
