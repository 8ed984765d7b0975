"""Reports as clients see them: of a model on its own data, and of an evaluation."""

from typing import Literal

from pydantic import BaseModel, Field


class ClassFigures(BaseModel):
    """How well one class is told from the others; what has nothing to divide by is 0."""

    label: str = Field(examples=["bees"])
    precision: float = Field(description="Right among the items that were said to be of it.")
    recall: float = Field(description="Right among the items that are of it.")
    f1: float
    support: int = Field(description="Items that are of it.")


class Macro(BaseModel):
    """Means over the classes that were met, as a label or as a prediction."""

    precision: float
    recall: float
    f1: float


class Confusion(BaseModel):
    """How often one class was taken for another."""

    label: str
    predicted: str
    count: int


class Bin(BaseModel):
    """Items whose confidence is above ``from`` and at most ``to``."""

    from_: float = Field(alias="from")
    to: float
    count: int
    confidence: float | None = Field(description="Mean; null where there is no item.")
    accuracy: float | None


class CalibrationFigures(BaseModel):
    """Whether a score of 0.9 is right nine times in ten, with and without the temperature."""

    temperature: float = Field(description="Served scores are softmax(logits / temperature); 1 changes nothing.")
    bins: int
    method: Literal["as_served", "cross_fitted"] = Field(
        description="How the values after it were measured. `cross_fitted`: the temperature was fitted on these very "
        "items, so each half of them is judged by a temperature that the other half gave."
    )
    ece_before: float = Field(description="Expected calibration error over bins of equal width.")
    ece_after: float
    loss_before: float = Field(description="Mean negative log-likelihood.")
    loss_after: float
    reliability_before: list[Bin]
    reliability_after: list[Bin]


class Mistake(BaseModel):
    """An item of which the model is sure, and its label says otherwise: one of the two is wrong."""

    item: str = Field(description="Its id in the data set.")
    name: str = Field(examples=["val/ants/8124241.jpg"])
    split: str
    label: str
    predicted: str
    score: float = Field(description="The served score of what was predicted.")


class Figures(BaseModel):
    """All figures of one part of a data set."""

    split: Literal["all", "train", "validation", "test"]
    items: int
    accuracy: float
    loss: float = Field(description="Mean negative log-likelihood before calibration.")
    macro: Macro
    classes: list[ClassFigures] = Field(description="In the order of the labels.")
    confusion_matrix: list[list[int]] | None = Field(
        description="A row a label, a column a prediction, in the order of the labels; null above 100 classes."
    )
    confusions: list[Confusion] = Field(description="The 100 most frequent ones.")
    calibration: CalibrationFigures
    mistakes: list[Mistake] = Field(description="The 50 of the highest scores.")


class Report(Figures):
    """How good a model is on a data set.

    The figures at the top are those of the validation split in a model's own report, and of all items in an
    evaluation's; `splits` has those of other parts: `test`, and in an evaluation every split of the set.
    """

    object: Literal["report"] = "report"
    model: str
    dataset: str
    labels: list[str]
    far_out: float | None = Field(
        None,
        description="Of an evaluation: the share of items that are farther from the training data than 95 % of the "
        "validation items were. Much above 0.05, the set is not of the kind that the model was trained on.",
    )
    splits: dict[str, Figures]
