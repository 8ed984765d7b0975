"""Checkpoint files that want to run, or to take more than they are; through both routes that take such files."""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from tests.e2e.service import Service, until
from tests.hostile.belongings import BACKBONE
from tests.hostile.tenant import Tenant

_GIB = 2**30


class Attack:
    """Unpickling this runs a command that makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.command = f"touch {canary}"

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def _saved(value: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def _state(*more: object) -> dict[str, Any]:
    return {"state_dict": {"weight": torch.ones(2)}, "more": more}


def _tar(canary: Path) -> bytes:
    """The oldest form of torch.save: a tar of pickles."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            content = pickle.dumps(Attack(canary))
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _with_member(name: str, content: bytes) -> bytes:
    """A file of torch.save in which one member is another."""
    source = zipfile.ZipFile(io.BytesIO(_saved(_state())))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for member in source.namelist():
            target.writestr(member, content if member.endswith(name) else source.read(member))
    return buffer.getvalue()


def _script() -> bytes:
    """A TorchScript archive: code for torch's own interpreter."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _calling(function: str) -> bytes:
    """A pickle that calls a function of torch's with a huge size."""
    module, _, name = function.rpartition(".")
    call = f"c{module}\n{name}\n".encode() + b"(" + pickle.dumps((10**11,), 2)[2:-1] + b"tR."
    return pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + b"\x80\x02" + call


def _expanded() -> bytes:
    """One value that says it is 10 GB: a tensor with strides of 0."""
    return _saved({"state_dict": {"weight": torch.zeros(1).expand(5 * _GIB // 2)}})


@cache
def _bomb() -> bytes:
    """A tensor of 256 MiB of zeros, packed to a few hundred kilobytes inside of the file."""
    source = zipfile.ZipFile(io.BytesIO(_saved({"weight": torch.zeros(4)})))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            if not member.endswith("data/0"):
                target.writestr(member, source.read(member))
                continue
            with target.open(member, "w") as file:
                for _ in range(256):
                    file.write(bytes(2**20))
    return buffer.getvalue()


PICKLES: dict[str, Callable[[Path], bytes]] = {
    "reduce": lambda canary: _saved(_state(Attack(canary))),
    "reduce in place of a tensor": lambda canary: _saved({"state_dict": {"weight": Attack(canary)}}),
    "reduce alone": lambda canary: _saved(Attack(canary)),
    "bare pickle": lambda canary: pickle.dumps(Attack(canary)),
    "old form": lambda canary: _saved(_state(Attack(canary)), _use_new_zipfile_serialization=False),
    "older form": _tar,
    "hyper-parameters": lambda canary: _saved(
        {**_state(), "hyper_parameters": {"_instantiator": f"os.system:{canary}"}}
    ),
    "another pickle inside": lambda canary: _with_member("data.pkl", pickle.dumps(Attack(canary))),
    "lying version": lambda _: _with_member("version", b"9" * 10_000),
    "truncated": lambda _: _saved(_state())[:-100],
    "script": lambda _: _script(),
    "a tensor of 10 GB": lambda _: _expanded(),
    "a bomb": lambda _: _bomb(),
    "a call that takes memory": lambda _: _calling("torch._utils._rebuild_tensor"),
    "a call of eval": lambda _: _calling("builtins.eval"),
    "deep": lambda _: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    "nothing": lambda _: b"",
    "a link": lambda _: b"/etc/passwd",
}


def _header(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def _tensor(start: int, end: int, shape: list[int] | None = None, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": [1] if shape is None else shape, "data_offsets": [start, end]}


def _lying(**tensors: dict[str, Any]) -> bytes:
    return _header(json.dumps(tensors).encode()) + bytes(16)


SAFETENSORS: dict[str, bytes] = {
    "header longer than the file": _header(b"{}", 10**9),
    "header of 2^63": _header(b"{}", 2**63),
    "header of 2^64-1": _header(b"{}", 2**64 - 1),
    "header is no JSON": _header(b"{" * 1000),
    "deep header": _header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "offsets past the end": _lying(a=_tensor(0, 10**9)),
    "offsets that wrap": _lying(a=_tensor(2**64 - 4, 2**64)),
    "offsets backwards": _lying(a=_tensor(8, 4)),
    "negative offsets": _lying(a=_tensor(-4, 0)),
    "overlapping": _lying(a=_tensor(0, 8, [2]), b=_tensor(4, 12, [2])),
    "a hole": _lying(a=_tensor(0, 4), b=_tensor(12, 16)),
    "shape that wraps": _lying(a=_tensor(0, 4, [2**32, 2**32])),
    "huge shape": _lying(a=_tensor(0, 4, [10**10])),
    "shape of nothing": _lying(a=_tensor(0, 0, [0, 2**62])),
    "unknown kind": _lying(a=_tensor(0, 4, None, "PICKLE")),
    "twice": _header(
        b'{"a":' + json.dumps(_tensor(0, 4)).encode() + b',"a":' + json.dumps(_tensor(4, 8)).encode() + b"}"
    ),
    "metadata that is none": _header(json.dumps({"__metadata__": {"order": ["../../x"]}, "a": _tensor(0, 4)}).encode())
    + bytes(4),
    "many tensors": _header(json.dumps({f"t{n}": _tensor(0, 0, [0]) for n in range(50_000)}).encode()),
}


def _posted(client: httpx.Client, route: str, filename: str, content: bytes) -> httpx.Response:
    data = {"name": "x", "architecture": BACKBONE} if route == "/checkpoints" else {"backbone": BACKBONE}
    return client.post(route, data=data, files={"file": (filename, content)}, timeout=120)


def _clients(service: Service, ann: Tenant) -> dict[str, httpx.Client]:
    return {"/checkpoints": ann.client, "/weights": service.client}


def _cases(attacks: Iterable[str], quick: Mapping[str, str]) -> list[Any]:
    """Every attack through both routes; of the quick ones, each through one. Each starts a process with torch."""
    return [
        pytest.param(attack, route, marks=[] if quick.get(attack) == route else [pytest.mark.slow])
        for attack in attacks
        for route in ("/checkpoints", "/weights")
    ]


_QUICK_PICKLES = {
    "reduce": "/checkpoints",
    "bare pickle": "/weights",
    "old form": "/weights",
    "hyper-parameters": "/checkpoints",
    "a tensor of 10 GB": "/checkpoints",
    "a bomb": "/weights",
    "a call of eval": "/weights",
    "deep": "/checkpoints",
}
_QUICK_SAFETENSORS = {
    "header of 2^63": "/checkpoints",
    "deep header": "/weights",
    "offsets that wrap": "/checkpoints",
    "shape that wraps": "/weights",
}


@pytest.mark.parametrize(("attack", "route"), _cases(PICKLES, _QUICK_PICKLES))
def test_nothing_in_a_pickle_runs(attack: str, route: str, service: Service, ann: Tenant, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    answer = _posted(_clients(service, ann)[route], route, "net.pt", PICKLES[attack](canary))
    assert (answer.status_code, answer.json()["code"]) in {(422, "unsafe_weights"), (422, "unreadable_weights")}
    assert not canary.exists()


def test_the_canary_is_one(tmp_path: Path) -> None:
    """Were the file opened as it wants to be, the attack would succeed."""
    pickle.loads(pickle.dumps(Attack(tmp_path / "canary")))  # noqa: S301 - that is the point
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize(("attack", "route"), _cases(SAFETENSORS, _QUICK_SAFETENSORS))
def test_a_safetensors_file_that_lies_is_refused(attack: str, route: str, service: Service, ann: Tenant) -> None:
    answer = _posted(_clients(service, ann)[route], route, "net.safetensors", SAFETENSORS[attack])
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] in {"unreadable_weights", "weights_mismatch", "checkpoint_mismatch"}


@pytest.mark.slow
def test_a_bomb_under_a_false_name_is_one_too(ann: Tenant, tmp_path: Path) -> None:
    """What is a pickle is told by the suffix: none may get a pickle to where safetensors are read, or the reverse."""
    for filename in ("net.safetensors", "net.PTH", "net.pt\0.safetensors", "../../net.pt"):
        answer = _posted(ann.client, "/checkpoints", filename, PICKLES["reduce"](tmp_path / "canary"))
        assert answer.status_code == 422, filename
    assert not (tmp_path / "canary").exists()


def test_nothing_is_left_of_all_that(service: Service, ann: Tenant) -> None:
    _posted(ann.client, "/checkpoints", "net.pt", PICKLES["a bomb"](Path()))
    store = service.data_dir / "store"
    rows = {row["id"] for row in service.client.get("/checkpoints", params={"limit": 100}).json()["data"]}

    def left() -> set[str]:
        return {path.name for path in (store / "checkpoints").glob("*")} - rows

    until(lambda: not left(), 5, "no folder without a row")
    assert not list(service.folder.rglob("canary"))
