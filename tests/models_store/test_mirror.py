"""Weights that an operator brings are checked, renamed and kept; what does not fit is refused with a reason."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torchvision import models

from models_store.backbones import catalogue
from models_store.errors import ConflictError, FinetunedError, InvalidError, NotFoundError
from models_store.mirror import Mirror
from models_store.settings import StoreSettings
from models_store.storage import opened
from tests.models_store.samples import minilm

SQUEEZENET = "torchvision/squeezenet1_1"


def checkpoint(folder: Path, name: str = "weights.pth", first: torch.Tensor | None = None) -> Path:
    path = folder / name
    state = models.squeezenet1_1().state_dict()
    if first is not None:
        state["features.0.weight"] = first
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def refusal(mirror: Mirror, backbone: str, weights: str, source: Path) -> FinetunedError:
    with pytest.raises(FinetunedError) as caught:
        mirror.add(backbone, weights, source)
    assert mirror.list() == []
    return caught.value


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.safetensors"])
def test_weights_are_kept_as_safetensors_under_the_librarys_names(name: str, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    source = checkpoint(tmp_path, name)
    mirror.add(SQUEEZENET, "DEFAULT", source)
    stored = mirror.path(SQUEEZENET, "IMAGENET1K_V1")
    assert stored is not None
    kept = load_file(stored / "model.safetensors")
    given = load_file(source) if name.endswith("safetensors") else torch.load(source)
    assert kept.keys() == models.squeezenet1_1().state_dict().keys()
    assert all(torch.equal(kept[key], given[key]) for key in kept)


def test_an_entry_is_found_by_default_and_by_its_concrete_name(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    added = mirror.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path))
    assert added.weights == "IMAGENET1K_V1"
    assert mirror.get(SQUEEZENET, "DEFAULT") == added
    assert mirror.get(SQUEEZENET, "IMAGENET1K_V1") == added
    assert mirror.list() == [added]


def test_an_entry_is_a_backbone_and_a_weights_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(models.mobilenet_v2().state_dict(), path)
    mirror = Mirror(tmp_path / "store")
    mirror.add("torchvision/mobilenet_v2", "IMAGENET1K_V1", path)
    assert mirror.get("torchvision/mobilenet_v2", "IMAGENET1K_V2") is None
    assert mirror.get("torchvision/mobilenet_v2", "DEFAULT") is None


def test_another_process_sees_what_was_added(tmp_path: Path) -> None:
    added = Mirror(tmp_path / "store").add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path))
    assert Mirror(tmp_path / "store").list() == [added]


def test_adding_the_same_again_changes_nothing(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    source = checkpoint(tmp_path)
    assert mirror.add(SQUEEZENET, "DEFAULT", source) == mirror.add(SQUEEZENET, "IMAGENET1K_V1", source)


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    kept = mirror.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path))
    with pytest.raises(ConflictError):
        mirror.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path))
    assert mirror.list() == [kept]


def test_a_removed_entry_is_gone_and_can_be_added_anew(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    mirror.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path))
    mirror.remove(SQUEEZENET, "DEFAULT")
    assert mirror.get(SQUEEZENET, "DEFAULT") is None
    assert list((tmp_path / "store" / "weights").iterdir()) == []
    mirror.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path))


def test_removing_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Mirror(tmp_path).remove(SQUEEZENET, "DEFAULT")


def test_weights_of_another_model_are_refused_with_the_first_mismatch(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(timm.create_model("test_resnet", pretrained=False).state_dict(), path)
    error = refusal(Mirror(tmp_path / "store"), SQUEEZENET, "DEFAULT", path)
    assert error.code == "weights_mismatch"
    assert "features.0.weight [64, 3, 3, 3]" in error.message


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, first=torch.zeros(64, 3, 5, 5))
    error = refusal(Mirror(tmp_path / "store"), SQUEEZENET, "DEFAULT", source)
    assert error.code == "weights_mismatch"
    assert "features.0.weight" in error.message


def test_a_malicious_file_is_refused_and_not_run(tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "canary"),)

    path = tmp_path / "weights.pth"
    torch.save({**models.squeezenet1_1().state_dict(), "more": Canary()}, path)
    assert refusal(Mirror(tmp_path / "store"), SQUEEZENET, "DEFAULT", path).code == "unsafe_weights"
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("backbone", "weights", "code"),
    [
        ("torchvision/no_such_model", "DEFAULT", "unknown_backbone"),
        ("../../escape", "DEFAULT", "unknown_backbone"),
        (SQUEEZENET, "../../escape", "unknown_weights"),
        ("hf/../escape", "DEFAULT", "unknown_backbone"),
    ],
)
def test_unknown_names_are_refused(backbone: str, weights: str, code: str, tmp_path: Path) -> None:
    assert refusal(Mirror(tmp_path / "store"), backbone, weights, checkpoint(tmp_path)).code == code


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert isinstance(refusal(Mirror(tmp_path / "store"), SQUEEZENET, "DEFAULT", tmp_path / "none"), InvalidError)


def test_nothing_is_left_behind_by_a_refusal(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, first=torch.zeros(1))
    refusal(Mirror(tmp_path / "store"), SQUEEZENET, "DEFAULT", source)
    assert list((tmp_path / "store" / "weights").iterdir()) == []


def test_names_of_users_are_never_names_of_folders(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "store")
    mirror.add("hf/Some/Model", "DEFAULT", minilm())
    folders = [path.name for path in (tmp_path / "store" / "weights").iterdir()]
    assert all(set(name) <= set("0123456789abcdef") for name in folders)
    entry = json.loads((tmp_path / "store" / "weights" / folders[0] / "entry.json").read_text())
    assert (entry["backbone"], entry["weights"]) == ("hf/Some/Model", "main")


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Mirror, Mirror]:
    """The mirrors of two machines that share a store."""
    url = f"file://{tmp_path / 'bucket'}"
    both = [StoreSettings(data_dir=tmp_path / name, storage_url=url) for name in ("one", "other")]
    one, other = (Mirror(settings.store_dir, opened(settings)) for settings in both)
    return one, other


def test_another_machine_lists_entries_without_their_files(machines: tuple[Mirror, Mirror], tmp_path: Path) -> None:
    one, other = machines
    entries = [one.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path)), one.add("hf/tests/minilm", "main", minilm())]
    for entry in entries:
        one.share(entry)
    assert other.list() == sorted(entries, key=lambda entry: entry.backbone)
    assert catalogue.task("hf/tests/minilm", other) == "text-classification"
    assert other.get(SQUEEZENET, "DEFAULT") == entries[0]
    assert not other.store_dir.exists()
    assert other.path("hf/tests/minilm", "main") is not None


@pytest.fixture
def removed(machines: tuple[Mirror, Mirror], tmp_path: Path) -> tuple[Mirror, Mirror]:
    """The first has removed weights that the other holds."""
    one, other = machines
    one.share(one.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path)))
    assert other.path(SQUEEZENET, "IMAGENET1K_V1") is not None
    one.remove(SQUEEZENET, "DEFAULT")
    return machines


def test_what_one_machine_removed_is_not_listed_by_another_that_holds_it(removed: tuple[Mirror, Mirror]) -> None:
    _, other = removed
    assert other.list() == []


def test_others_can_be_added_where_those_of_before_were_removed_from_another_machine(
    removed: tuple[Mirror, Mirror], tmp_path: Path
) -> None:
    one, other = removed
    with other.fetched(SQUEEZENET, "DEFAULT"):
        entry = other.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path, "changed.pth", torch.zeros(64, 3, 3, 3)))
    other.share(entry)
    assert one.list() == [entry]


def test_what_has_not_reached_the_store_yet_stays_when_it_is_added_again(
    machines: tuple[Mirror, Mirror], tmp_path: Path
) -> None:
    one, other = machines
    entry = one.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path))
    with one.fetched(SQUEEZENET, "DEFAULT"):
        assert one.get(SQUEEZENET, "DEFAULT") == entry
    one.share(entry)
    assert other.list() == [entry]


def test_what_another_machine_has_added_is_a_conflict_here(machines: tuple[Mirror, Mirror], tmp_path: Path) -> None:
    one, other = machines
    one.share(one.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path)))
    with other.fetched(SQUEEZENET, "DEFAULT"), pytest.raises(ConflictError):
        other.add(SQUEEZENET, "DEFAULT", checkpoint(tmp_path, "changed.pth", torch.zeros(64, 3, 3, 3)))
