"""Predictions as clients ask for and see them."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.datasets.schemas import ErrorInfo
from app.deps import Closed

TopK = Annotated[int, Field(ge=1, le=1000, description="How many classes to score.")]
ModelRef = Annotated[str, Field(min_length=1, max_length=300, examples=["mdl_01kaq4f1m2b6w8p3s5t7v9x0z1"])]


class Parameters(Closed):
    """How predictions are wanted."""

    top_k: TopK = 5
    logits: bool = Field(False, description="Add the raw logits in label order.")


class PredictRequest(Closed):
    """A JSON prediction request."""

    model: ModelRef
    inputs: Any = Field(
        description="A text, an image in base64, or a list of them.",
        json_schema_extra={
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
        },
        examples=["a film that stays with you", ["a film that stays with you", "two hours that I want back"]],
    )
    parameters: Parameters = Parameters()


class PredictForm(Parameters):
    """The fields beside the files; form values are texts."""

    model: ModelRef


class Score(BaseModel):
    """A class and its probability."""

    label: str
    score: float


class Prediction(BaseModel):
    """What the model says of one input; or the error of that input alone."""

    label: str | None = None
    score: float | None = None
    scores: list[Score] | None = Field(None, description="Sorted, the best first.")
    logits: list[float] | None = Field(None, description="In label order; only where asked for.")
    diagnostics: dict[str, Any] | None = Field(None, examples=[{"truncated": False, "tokens": 17}])
    error: ErrorInfo | None = None


class Predictions(BaseModel):
    """One prediction an input, in order."""

    model: str
    predictions: list[Prediction]
