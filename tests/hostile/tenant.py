"""A user of the service with a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.e2e.service import Service, until


@dataclass(frozen=True)
class Tenant:
    """Its key, and a client that sends it."""

    owner: str
    key_id: str
    key: str
    client: httpx.Client

    def imported(self, file: str, content: bytes, **fields: str) -> dict[str, Any]:
        """The data set that an upload becomes, once its import has ended."""
        answer = self.client.post("/datasets", files={"file": (file, content)}, data=fields)
        assert answer.status_code in {201, 202}, answer.text
        return self.ended(f"/datasets/{answer.json()['id']}", "ready", "failed")

    def ended(self, path: str, *states: str) -> dict[str, Any]:
        """What is at this address, once its status is one of these."""

        def read() -> dict[str, Any] | None:
            shown: dict[str, Any] = self.client.get(path, headers={"Prefer": "wait=20"}).json()
            return shown if shown["status"] in states else None

        found: dict[str, Any] = until(read, 120, f"{path} is {' or '.join(states)}")
        return found


@contextmanager
def tenant(service: Service, owner: str) -> Iterator[Tenant]:
    """A new user."""
    made = service.client.post("/keys", json={"owner": owner, "role": "user"}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60) as client:
        yield Tenant(owner, made["id"], made["key"], client)
