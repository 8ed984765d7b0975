"""What both clients can do beside the work itself: weights, checkpoints, keys, and how the service is."""

from pathlib import Path

from finetuned.client.bodies import Progress
from finetuned.client.effects import Feed, Op
from finetuned.client.endpoint import each, plain
from finetuned.client.errors import Json
from finetuned.client.inventory import AuditEntry, Backbone, Checkpoint, Key, Usage, Weights, Worker
from finetuned.client.requests import delete, get, pages, part, post, succeeds
from finetuned.client.uploading import opened, upload


class Checkpoints:
    """Weights that users bring."""

    @plain
    def upload_checkpoint(
        self, path: Path | str, architecture: str, name: str | None = None, on_progress: Progress | None = None
    ) -> Op[Checkpoint]:
        """Upload a Lightning ``.ckpt``, or a ``.pt``, ``.pth`` or ``.safetensors`` of a state_dict, a piece at a time.

        ``architecture`` is the backbone that a part of it fits, or ``plugin/NAME``; jobs start from ``checkpoint/ID``.
        """
        source = yield from opened(path)
        fields = {"name": name or source.stem, "architecture": architecture}
        return Checkpoint.of((yield from upload("/checkpoints", source, fields, on_progress)))

    @each
    def checkpoints(self) -> Feed[Checkpoint]:
        """Every checkpoint, newest first."""
        return pages("/checkpoints", Checkpoint.of)

    @plain
    def checkpoint(self, checkpoint_id: str) -> Op[Checkpoint]:
        """One checkpoint: its parts, and those that its architecture fits."""
        return Checkpoint.of((yield from get(f"/checkpoints/{part(checkpoint_id)}")))

    @plain
    def delete_checkpoint(self, checkpoint_id: str) -> Op[None]:
        """Delete a checkpoint that no queued or running job starts from."""
        return delete(f"/checkpoints/{part(checkpoint_id)}")


class Mirror:
    """Pretrained weights, and what can be trained."""

    @each
    def weights(self) -> Feed[Weights]:
        """What the local mirror of pretrained weights holds (admins only)."""
        return pages("/weights", Weights.of, cursor=lambda entry: f"{entry['backbone']}:{entry['weights']}")

    @plain
    def add_weights(
        self, backbone: str, path: Path | str, weights: str = "DEFAULT", on_progress: Progress | None = None
    ) -> Op[Weights]:
        """Put a weights file, or a folder of one model, into the mirror (admins only)."""
        source = yield from opened(path)
        fields = {"backbone": backbone, "weights": weights}
        return Weights.of((yield from upload("/weights", source, fields, on_progress)))

    @plain
    def remove_weights(self, backbone: str, weights: str = "DEFAULT") -> Op[None]:
        """Take an entry out of the mirror (admins only)."""
        return delete("/weights", backbone=backbone, weights=weights)

    @each
    def backbones(
        self, family: str | None = None, search: str | None = None, available: bool | None = None
    ) -> Feed[Backbone]:
        """What jobs can start from: of one family, with a part of the name, or loadable without a hub."""
        here = None if available is None else str(available).lower()
        filters = {"family": family, "search": search, "available": here}
        return pages("/backbones", Backbone.of, cursor=lambda entry: str(entry["backbone"]), **filters)


class Operating:
    """Keys, and how the service is."""

    @plain
    def create_key(self, owner: str, role: str = "user") -> Op[Key]:
        """Make a key; ``key`` is there this once (admins only)."""
        return Key.of((yield from post("/keys", {"owner": owner, "role": role})))

    @each
    def keys(self) -> Feed[Key]:
        """The keys that are not revoked, newest first (admins only)."""
        return pages("/keys", Key.of)

    @plain
    def revoke_key(self, key_id: str) -> Op[None]:
        """Revoke a key (admins only)."""
        return delete(f"/keys/{part(key_id)}")

    @each
    def usage(self) -> Feed[Usage]:
        """What you have stored and may store; for an admin, of every owner."""
        return pages("/usage", Usage.of, cursor=lambda entry: str(entry["owner"]))

    @plain
    def disk(self) -> Op[Json | None]:
        """Bytes on disk by kind; None for whoever is no admin."""
        found: Json | None = (yield from get("/usage", limit=1)).get("disk")
        return found

    @each
    def audit(self, owner: str | None = None, action: str | None = None) -> Feed[AuditEntry]:
        """Who made, deleted and moved what, newest first (admins only)."""
        return pages("/audit", AuditEntry.of, owner=owner, action=action)

    @each
    def workers(self) -> Feed[Worker]:
        """Workers that were seen in the last half minute."""
        return pages("/workers", Worker.of)

    @plain
    def healthz(self) -> Op[bool]:
        """Whether the API's process lives."""
        return succeeds("/healthz")

    @plain
    def readyz(self) -> Op[bool]:
        """Whether database, broker and a worker are there."""
        return succeeds("/readyz")
