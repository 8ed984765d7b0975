"""Data sets as clients see them."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from app.deps import Closed, PageQuery, Time, rfc3339
from models_store.database.tables import DatasetRow
from models_store.spec import Name

Task = Literal["image-classification", "text-classification"]
Split = Literal["train", "validation", "test"]


class DatasetForm(Closed):
    """The fields beside the file. Form values are texts; numbers are read from them."""

    name: Name | None = Field(None, description="The file's name if omitted.")
    task: Task | None = Field(None, description="Told from the content if omitted.")
    validation_fraction: float = Field(0.2, gt=0, le=0.9, allow_inf_nan=False)
    seed: int = Field(0, ge=0, lt=2**32)
    split: Literal["given", "grouped"] = Field(
        "given",
        description="`grouped` draws training and validation anew, with copies on one side, although the upload brings "
        "a validation split, and leaves out copies of test items.",
    )


class ItemsQuery(PageQuery):
    """Which items are wanted."""

    label: str | None = Field(None, max_length=1000)
    split: Split | None = None


class ClassCount(BaseModel):
    """A class and how many items it has."""

    label: str = Field(examples=["ants"])
    count: int = Field(examples=[193])


class ItemProblem(BaseModel):
    """An item, or the first of a group or kind of items, and what is the matter with it."""

    item: str = Field(examples=["train/ants/x.gif"])
    code: str = Field(examples=["unreadable_image"])
    message: str


class ErrorInfo(BaseModel):
    """Why something failed."""

    code: str = Field(examples=["too_few_items"])
    message: str
    param: str | None = None


class Dataset(BaseModel):
    """A data set."""

    id: str = Field(examples=["ds_01kaq3v9c0xg2f6n6q1w9zr8ya"])
    object: Literal["dataset"] = "dataset"
    name: str
    task: Task | None = Field(description="null until it is known.")
    status: Literal["processing", "ready", "failed"]
    classes: list[ClassCount]
    splits: dict[str, int] = Field(examples=[{"train": 244, "validation": 153, "test": 0}])
    fingerprint: str | None = Field(examples=["sha256:9f86d081884c7d65…"])
    bytes: int
    problems: list[ItemProblem] = Field(
        description="All bad items at once, which are left out; and what must be acted on though it is kept: copies, "
        "conflicting labels, tiny classes."
    )
    warnings: list[ItemProblem] = Field(
        description="What leaves nothing out and may matter: uneven classes, odd sizes."
    )
    error: ErrorInfo | None
    created_at: Time

    @classmethod
    def of(cls, row: DatasetRow) -> Self:
        """The row as clients see it."""
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in cls.model_fields if name not in {"object", "created_at"}},
                "created_at": rfc3339(row.created_at),
            }
        )


class Item(BaseModel):
    """One labelled item."""

    id: str
    name: str = Field(examples=["train/ants/0013035.jpg"])
    label: str
    split: Split
    text: str | None = Field(None, description="Only for texts.")
