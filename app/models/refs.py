"""How an address names a model: by id, or as ``name@alias``, where the name may hold any character."""

from typing import Annotated, Final

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

CONVERTOR: Final = "model"


class ModelRefConvertor(Convertor[str]):
    """Takes an id, or whatever ends in an alias.

    Starlette has decoded ``%2F`` before it looks for a route, so a name with slashes spans several segments. No alias
    has a slash: what follows an alias, such as ``/download``, is never taken for a part of it.
    """

    regex = "[^/]+|.+@[^/@]+"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor(CONVERTOR, ModelRefConvertor())
RefPath = Annotated[
    str, Path(description="A model's id, or `name@alias`; `name@latest` is the newest version.", max_length=300)
]
NamePath = Annotated[
    str,
    Path(
        description="A model's id, `name@alias`, or a plain name without slashes, which means its newest version.",
        max_length=300,
    ),
]
"""For protocols that name models, and perhaps versions of them."""
VersionPath = Annotated[int, Path(ge=1, lt=2**31, description="A version of the model's name.")]
