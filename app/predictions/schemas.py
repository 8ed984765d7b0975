"""Predictions as clients ask for and see them."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from app.datasets.schemas import ErrorInfo
from app.deps import Closed
from app.settings import MAX_INPUTS

MAX_INPUT_CHARACTERS: Final = 64 * 2**20
"""Of one input, be it an image in base64; of texts as in data sets, far fewer are read."""
_INPUT: Final[JsonDict] = {"type": "string", "maxLength": MAX_INPUT_CHARACTERS}
TopK = Annotated[int, Field(ge=1, le=1000, description="How many classes to score.")]
ModelRef = Annotated[
    str,
    Field(
        min_length=1,
        max_length=300,
        description="A model's id, or `name@alias`; `name@latest` is the newest version.",
        examples=["mdl_01kaq4f1m2b6w8p3s5t7v9x0z1", "ants-or-bees@production"],
    ),
]


class Parameters(Closed):
    """How predictions are wanted."""

    top_k: TopK = 5
    logits: bool = Field(False, description="Add the raw logits in label order.")
    abstain_below: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Give no label where the confidence is below this. The confidence is the best calibrated score; "
        "for an input that is farther from the training data than 95 % of the validation items were, it is that times "
        "`(1 - out_of_distribution) / 0.05`.",
    )


Inputs = Annotated[
    Any,
    Field(
        description="A text, an image in base64, or a list of them.",
        json_schema_extra={
            "anyOf": [_INPUT, {"type": "array", "items": _INPUT, "minItems": 1, "maxItems": MAX_INPUTS}]
        },
        examples=["a film that stays with you", ["a film that stays with you", "two hours that I want back"]],
    ),
]
"""Checked by :func:`app.predictions.inputs.strings`, which names the input that is wrong, and no other."""


class PredictRequest(Closed):
    """A JSON prediction request."""

    model: ModelRef
    inputs: Inputs
    parameters: Parameters = Parameters()


class PredictForm(Parameters):
    """The fields beside the files; form values are texts."""

    model: ModelRef


class PredictAddress(Parameters):
    """What may stand in the address: it counts with a raw image body, and is checked with every body."""

    model: ModelRef | None = None


class Score(BaseModel):
    """A class and its probability."""

    label: str
    score: float


class Prediction(BaseModel):
    """What the model says of one input; or the error of that input alone."""

    label: str | None = Field(None, description="null where the model abstained.")
    score: float | None = Field(None, description="Of the best class, whether it is given as `label` or not.")
    scores: list[Score] | None = Field(
        None, description="Calibrated probabilities (softmax of the logits divided by the temperature), best first."
    )
    logits: list[float] | None = Field(None, description="Uncalibrated, in label order; only where asked for.")
    confidence: float | None = Field(None, description="Only with `abstain_below`: what was compared with it.")
    abstained: bool | None = Field(None, description="Only with `abstain_below`.")
    diagnostics: dict[str, Any] | None = Field(
        None,
        description="What was done to the input, and `out_of_distribution`: the share of the validation items that are "
        "closer to the training data than it is, in [0, 1].",
        examples=[{"truncated": False, "tokens": 17, "out_of_distribution": 0.42}],
    )
    error: ErrorInfo | None = None


class Predictions(BaseModel):
    """One prediction an input, in order."""

    model: str
    predictions: list[Prediction]
