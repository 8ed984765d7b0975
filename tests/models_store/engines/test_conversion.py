"""A trunk is converted once; what OpenVINO cannot do, or does otherwise, is refused and stays with PyTorch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models_store import trunks
from models_store.backbones.family import IMAGES, Architecture, Batch
from models_store.engines import ENGINES, EngineUnavailableError, conversion
from models_store.errors import UnavailableError

TINY = Architecture("plugin", "tiny", IMAGES, 3, {})


class Features(nn.Module):
    """The mean of each channel, by which a plugin's backbone is as small as can be."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = pixels.mean((2, 3)) * self.scale
        return features


class Counted(Features):
    """What a tracer takes for a constant: how many there are."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels) * len(pixels)


class Unknown(Features):
    """An operation that no other framework has."""

    def forward(self, pixels: Tensor) -> Tensor:
        other: Tensor = torch.special.bessel_j0(pixels.mean((2, 3)))
        return super().forward(pixels) + other


def items() -> Batch:
    return {"pixels": torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))}


def ensure(store: Path, module: nn.Module) -> tuple[str, str | None]:
    trunk = trunks.put(store, module, TINY)
    return trunk, conversion.ensure(store, trunk, module, TINY, items())


def meta(store: Path, trunk: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((conversion.folder(store, trunk) / conversion.META).read_bytes())
    return found


def test_a_trunk_is_converted_once(tmp_path: Path) -> None:
    trunk, refused = ensure(tmp_path, Features())
    assert refused is None
    before = (conversion.folder(tmp_path, trunk) / conversion.XML).stat().st_mtime_ns
    assert ensure(tmp_path, Features()) == (trunk, None)
    assert (conversion.folder(tmp_path, trunk) / conversion.XML).stat().st_mtime_ns == before


@pytest.mark.parametrize(("module", "reason"), [(Counted(), "differ"), (Unknown(), "bessel_j0")])
def test_what_openvino_does_otherwise_or_not_at_all_is_refused(module: nn.Module, reason: str, tmp_path: Path) -> None:
    trunk, refused = ensure(tmp_path, module)
    assert reason in (refused or "")
    with pytest.raises(EngineUnavailableError) as unavailable:
        ENGINES["openvino"](tmp_path, trunk, "f32")
    assert str(unavailable.value) == refused
    assert {file.name for file in conversion.folder(tmp_path, trunk).iterdir()} == {conversion.META}


def test_a_refusal_is_remembered_until_openvino_changes(tmp_path: Path) -> None:
    trunk, refused = ensure(tmp_path, Counted())
    path = conversion.folder(tmp_path, trunk) / conversion.META
    path.write_text(json.dumps({**meta(tmp_path, trunk), "refused": "said before"}))
    assert conversion.ensure(tmp_path, trunk, Counted(), TINY, items()) == "said before"
    path.write_text(json.dumps({**meta(tmp_path, trunk), "openvino": "2019.1"}))
    assert conversion.ensure(tmp_path, trunk, Counted(), TINY, items()) == refused


def test_an_unconverted_trunk_has_no_graph_to_open(tmp_path: Path) -> None:
    trunk = trunks.put(tmp_path, Features(), TINY)
    with pytest.raises(EngineUnavailableError):
        ENGINES["openvino"](tmp_path, trunk, "f32")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_however_many_items_are_compared_on(count: int, tmp_path: Path) -> None:
    few = {"pixels": items()["pixels"][:count]}
    trunk = trunks.put(tmp_path, Features(), TINY)
    assert conversion.ensure(tmp_path, trunk, Features(), TINY, few) is None
    trunk = trunks.put(tmp_path, Counted(), TINY)
    assert "differ" in (conversion.ensure(tmp_path, trunk, Counted(), TINY, few) or "")


def test_other_code_is_converted_anew(tmp_path: Path) -> None:
    trunk, _ = ensure(tmp_path, Features())
    path = conversion.folder(tmp_path, trunk) / conversion.META
    known = meta(tmp_path, trunk)
    path.write_text(json.dumps({**known, "code": "0" * 64}))
    assert ensure(tmp_path, Features()) == (trunk, None)
    assert meta(tmp_path, trunk)["code"] == known["code"]


def test_what_is_known_of_a_conversion_may_be_unreadable(tmp_path: Path) -> None:
    trunk, _ = ensure(tmp_path, Features())
    (conversion.folder(tmp_path, trunk) / conversion.META).write_text("[")
    with pytest.raises(EngineUnavailableError, match="not converted"):
        ENGINES["openvino"](tmp_path, trunk, "f32")
    assert ensure(tmp_path, Features()) == (trunk, None)
    ENGINES["openvino"](tmp_path, trunk, "f32")


def test_a_trunk_that_was_removed_meanwhile_is_not_converted(tmp_path: Path) -> None:
    trunk = trunks.put(tmp_path, Features(), TINY)
    shutil.rmtree(trunks.directory(tmp_path, trunk))
    with pytest.raises(UnavailableError) as missing:
        conversion.ensure(tmp_path, trunk, Features(), TINY, items())
    assert missing.value.code == "trunk_missing"
    assert not trunks.directory(tmp_path, trunk).exists()


WATCHED = """
import sys
from pathlib import Path

asked = []
telling = ("socket.", "urllib.", "subprocess.", "os.fork")
sys.addaudithook(lambda event, args: asked.append((event, args)) if event.startswith(telling) else None)

from tests.models_store.engines.test_conversion import Features, ensure

asked.clear()
assert ensure(Path(sys.argv[1]), Features())[1] is None
assert not asked, asked
"""


def test_a_conversion_tells_nobody(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WATCHED, str(tmp_path)], check=True, timeout=120)
