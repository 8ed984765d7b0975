"""What the service answers, as frozen dataclasses.

A field that the service left out is None. ``raw`` is the whole answer, with fields that are newer than this client, and
``record["field"]`` reads from it: an answer can be used as the JSON object that it was, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from finetuned.client.errors import Json

_Kinds = dict[str, type["Record"]]


@dataclass(frozen=True)
class Record:
    """An answer. Two are equal when their fields are."""

    raw: Json = field(repr=False, compare=False)
    _single: ClassVar[_Kinds]
    _several: ClassVar[_Kinds]
    _renamed: ClassVar[dict[str, str]]

    def __init_subclass__(
        cls,
        single: _Kinds | None = None,
        several: _Kinds | None = None,
        renamed: dict[str, str] | None = None,
    ) -> None:
        """Take the fields that hold a record, those that hold some, and those with another name in the answer."""
        cls._single = single or getattr(cls, "_single", {})
        cls._several = several or getattr(cls, "_several", {})
        cls._renamed = renamed or getattr(cls, "_renamed", {})

    @classmethod
    def of(cls, raw: Json, session: Any = None) -> Self:
        """Read the JSON; an object with methods of its own runs them in ``session``."""
        names = [one.name for one in fields(cls) if one.name != "raw"]
        made = cls(raw, **{name: cls._read(name, raw.get(cls._renamed.get(name, name))) for name in names})
        object.__setattr__(made, "session", session)
        return made

    @classmethod
    def _read(cls, name: str, value: Any) -> Any:
        if name in cls._several:
            return tuple(cls._several[name].of(one) for one in value or ())
        return cls._single[name].of(value) if name in cls._single and value is not None else value

    def __getitem__(self, name: str) -> Any:
        return self.raw[name]

    def __contains__(self, name: object) -> bool:
        return name in self.raw

    def get(self, name: str, default: Any = None) -> Any:
        """A field of the answer, or the default."""
        return self.raw.get(name, default)

    def keys(self) -> Iterable[str]:
        """With ``[]``: ``dict(record)`` is the answer."""
        return self.raw.keys()
