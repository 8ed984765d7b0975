"""Entries of the audit log as admins see them."""

from typing import Self

from pydantic import BaseModel, Field

from app.deps import PageQuery, Time, rfc3339
from models_store.audit import Action
from models_store.database.tables import AuditRow


class AuditQuery(PageQuery):
    """Which entries are wanted."""

    owner: str | None = Field(None, min_length=1, max_length=200, description="Whose objects.")
    action: Action | None = None


class Entry(BaseModel):
    """Who did what, when, from which request."""

    id: str = Field(examples=["aud_01kaq3v9c0xg2f6n6q1w9zr8ya"])
    actor: str = Field(description="Owner of the key that was used.", examples=["ann"])
    role: str = Field(description="`admin`, `user`, or `service` for what retention removes.", examples=["user"])
    key: str | None = Field(description="Id of the key that was used.", examples=["key_01kaq3v9c0xg2f6n6q1w9zr8ya"])
    action: Action
    object: str = Field(
        description="What it was done to: an id; `MODEL@ALIAS` for an alias, `BACKBONE:WEIGHTS` for weights.",
        examples=["ds_01kaq3v9c0xg2f6n6q1w9zr8ya"],
    )
    owner: str | None = Field(description="Whose object it was; null where it was everybody's.", examples=["ann"])
    request_id: str | None = Field(description="The `X-Request-ID` of the request; null where there was none.")
    created_at: Time

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """The row as admins see it."""
        same = ("id", "actor", "role", "action", "object", "request_id")
        return cls.model_validate(
            {
                **{name: getattr(row, name) for name in same},
                "key": row.key_id,
                "owner": row.owner or None,
                "created_at": rfc3339(row.created_at),
            }
        )
