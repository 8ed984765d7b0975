"""Folders of Hugging Face that bring code, pickles, links or bombs; sent to the mirror as a zip, by an admin."""

import io
import json
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import Service
from tests.hostile.test_checkpoints import Attack
from tests.models_store.samples import tiny_text_model

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A tiny text model as ``save_pretrained`` writes it."""
    folder = tiny_text_model(tmp_path_factory.mktemp("folder") / "tiny")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _edited(files: Files, name: str, **more: Any) -> Files:
    return {**files, name: json.dumps({**json.loads(files.get(name, b"{}")), **more}).encode()}


def _tokenizer(files: Files, **more: Any) -> Files:
    return _edited(files, "tokenizer.json", **more)


_CODE = b"import os; os.system('touch CANARY')"
Change = Callable[[Files, Path], Files]
FOLDERS: dict[str, Change] = {
    "auto_map": lambda files, _: _edited(files, "config.json", auto_map={"AutoModel": "evil.Model"}),
    "auto_map elsewhere": lambda files, _: _edited(files, "tokenizer_config.json", auto_map={"AutoTokenizer": ["e.T"]}),
    "auto_map of another": lambda files, _: _edited(files, "config.json", auto_map={"AutoModel": "evil/repo--e.Model"}),
    "code": lambda files, _: {**files, "modeling_evil.py": _CODE},
    "code below": lambda files, _: {**files, "1_Pooling/evil.py": _CODE},
    "compiled": lambda files, _: {**files, "evil.pyc": b"\0"},
    "a library": lambda files, _: {**files, "libevil.so": b"\x7fELF"},
    "pickles beside": lambda files, canary: {**files, "pytorch_model.bin": pickle.dumps(Attack(canary))},
    "pickles alone": lambda files, canary: {
        **{name: content for name, content in files.items() if not name.endswith(".safetensors")},
        "pytorch_model.bin": pickle.dumps(Attack(canary)),
    },
    "a pickle for weights": lambda files, canary: {**files, "model.safetensors": pickle.dumps(Attack(canary))},
    "a pickled tokenizer": lambda files, canary: {**files, "tokenizer.pkl": pickle.dumps(Attack(canary))},
    "trust": lambda files, _: _edited(
        _edited(files, "config.json", trust_remote_code=True, model_type="evil"), "tokenizer_config.json"
    ),
    "a class that is none": lambda files, _: _edited(files, "tokenizer_config.json", tokenizer_class="os.system"),
    "huge": lambda files, _: _edited(files, "config.json", hidden_size=2**30, num_attention_heads=2**20),
    "many layers": lambda files, _: _edited(files, "config.json", num_hidden_layers=10**9),
    "negative": lambda files, _: _edited(files, "config.json", hidden_size=-1),
    "not a number": lambda files, _: _edited(files, "config.json", vocab_size="x" * 10**6),
    "deep": lambda files, _: {**files, "config.json": b'{"a":' * 100_000 + b"1" + b"}" * 100_000},
    "no JSON": lambda files, _: {**files, "config.json": b"\xff\xfe"},
    "an index that leads out": lambda files, _: {
        **{name: content for name, content in files.items() if name != "model.safetensors"},
        "model.safetensors.index.json": b'{"metadata": {}, "weight_map": {"a": "../../../../etc/passwd"}}',
    },
    "lying weights": lambda files, _: {**files, "model.safetensors": struct.pack("<Q", 2**63) + b"{}"},
    "a pattern without end": lambda files, _: _tokenizer(
        files, pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    ),
    "a tokenizer that is none": lambda files, _: {**files, "tokenizer.json": b'{"version": "1.0", "model": {}}'},
    "up": lambda files, _: {**files, "../../evil-canary": b"x"},
    "absolute": lambda files, _: {**files, "/tmp/evil-canary": b"x"},  # noqa: S108 - where it must not come to be
    "backslash": lambda files, _: {**files, "..\\evil-canary": b"x"},
    "a bomb": lambda files, _: {**files, "vocab.txt": bytes(1_200_000_000)},
    "many files": lambda files, _: {**files, **{f"{n}.txt": b"" for n in range(2000)}},
}
HARMLESS = {
    "a pattern without end",  # does nothing until it is used, and then no more than the model that its owner wanted
    "a class that is none",  # is looked for among Transformers' own classes only, and done without
}


def _packed(files: Files, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link:
            info = zipfile.ZipInfo("vocab.txt")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, link)
    return buffer.getvalue()


def _sent(service: Service, content: bytes, name: str) -> tuple[int, str]:
    answer = service.client.post("/weights", data={"backbone": name}, files={"file": ("a.zip", content)}, timeout=200)
    return answer.status_code, str(answer.json().get("code", ""))


QUICK = ["auto_map", "a bomb"]
_slow = pytest.mark.slow


@pytest.mark.parametrize("attack", [name if name in QUICK else pytest.param(name, marks=_slow) for name in FOLDERS])
def test_a_folder_that_wants_more_than_to_be_read_is_refused(
    attack: str, good: Files, service: Service, tmp_path: Path
) -> None:
    canary = tmp_path / "evil-canary"
    name = f"hf/tests/evil-{[*FOLDERS].index(attack)}"
    status, code = _sent(service, _packed(FOLDERS[attack](good, canary)), name)
    assert status == 422 or attack in HARMLESS, code
    assert code in {
        "unsafe_weights",
        "unreadable_weights",
        "weights_mismatch",
        "unsupported_backbone",
        "no_tokenizer",
        "",
    }
    assert not canary.exists()
    assert not list(service.folder.rglob("*evil-canary*"))
    assert service.client.get("/healthz", timeout=5).status_code == 200


def test_a_link_in_a_folder_is_not_followed(good: Files, service: Service) -> None:
    assert _sent(service, _packed(good, link="/etc/passwd"), "hf/tests/linked") == (422, "unreadable_weights")


def test_the_folder_without_all_that_is_taken(good: Files, service: Service) -> None:
    assert _sent(service, _packed(good), "hf/tests/good")[0] == 201


def test_no_setting_of_a_job_trusts_code(service: Service) -> None:
    described = json.dumps(service.client.get("/openapi.json").json())
    assert "trust_remote_code" not in described
