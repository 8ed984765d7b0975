"""API keys as admins see them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from app.deps import Closed, Time

Owner = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]
Role = Literal["admin", "user"]


class NewKey(Closed):
    """Whose key is wanted."""

    owner: Owner = Field(examples=["ann"])
    role: Role = "user"


class Key(BaseModel):
    """A key, without the key itself."""

    id: str
    prefix: str = Field(description="How the key begins, to tell keys apart.", examples=["ft_Zk3aB"])
    owner: str
    role: Role
    created_at: Time


class CreatedKey(Key):
    """A key that was just made."""

    key: str = Field(description="Shown this once.")
