"""The files of a Hugging Face model: which are taken, which make the whole model refused, where they come from."""

import json
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from models_store.backbones.downloads import DownloadError, hugging_face_folder
from models_store.backbones.family import LocalWeights, weights_unavailable
from models_store.errors import InvalidError

TAKEN = (
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
    "1_Pooling/config.json",
)
_CODE = ("*.py", "*.pyc", "*.so")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_SETTINGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
_REVISION = "main"
_MIB = 2**20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_FILES = 1000
_RATIO = 20
_RATIO_FREE_BYTES = 2**30
"""A zip of weights hardly packs; what unpacks to more than this, and to many times its size, is a bomb."""


def local_config(name: str, mirror: LocalWeights) -> bytes | None:
    """The model's ``config.json`` in the mirror or the cache, where it is there; the hub is not asked."""
    mirrored = mirror.peek(f"hf/{name}", _REVISION, "config.json")
    if mirrored is not None:
        return mirrored
    try:
        return (hugging_face_folder(name, TAKEN, online=False) / "config.json").read_bytes()
    except (DownloadError, OSError):
        return None


def find_folder(name: str, mirror: LocalWeights) -> Path:
    """Folder of the model's files: the mirror's, the cache's (``HF_HOME`` moves it), or fetched from the hub.

    Raises:
        InvalidError: ``unsafe_weights``.
        UnavailableError: ``weights_unavailable``.
    """
    mirrored = mirror.path(f"hf/{name}", _REVISION)
    folder = mirrored if mirrored is not None else _from_library(name)
    check_folder(folder)
    return folder


def _from_library(name: str) -> Path:
    looked = ["the mirror"]
    for online in (False, True):
        try:
            folder = hugging_face_folder(name, TAKEN, online=online)
        except DownloadError as error:
            looked.append(f"{'the hub' if online else 'the cache'} ({error})")
            continue
        if online or any((folder / weights).is_file() for weights in _WEIGHTS):
            return folder
        looked.append("the cache (incomplete)")
    raise weights_unavailable(f"hf/{name}", _REVISION, looked)


def check_folder(folder: Path) -> None:
    """Refuse what would have to run the model's own code, or to unpickle its weights.

    Raises:
        InvalidError: ``unsafe_weights``.
    """
    if any(fnmatchcase(path.name, pattern) for path in folder.rglob("*") for pattern in _CODE):
        raise _unsafe("It brings program code along")
    for settings in _SETTINGS:
        if "auto_map" in _json(folder / settings):
            raise _unsafe(f"Its {settings} names program code to run (auto_map)")
    if not any((folder / weights).is_file() for weights in _WEIGHTS):
        raise _unsafe("It has no weights as safetensors")


def import_folder(source: Path, destination: Path) -> None:
    """Copy the files that are taken from ``source``, a folder or a zip of one, into the folder ``destination``.

    Raises:
        InvalidError: ``unsafe_weights`` or ``unreadable_weights``.
    """
    with _unpacked(source) as folder:
        if any(fnmatchcase(path.name, pattern) for path in folder.rglob("*") for pattern in _PICKLES):
            raise _unsafe("It holds pickled weights")
        check_folder(folder)
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and _is_taken(inside.as_posix()):
                (destination / inside).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, destination / inside)


def _is_taken(name: str) -> bool:
    depth = name.count("/")
    fits = any(fnmatchcase(name, pattern) and pattern.count("/") == depth for pattern in TAKEN)
    return fits and _NAME.fullmatch(name) is not None


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    with TemporaryDirectory(prefix="weights-", dir=source.parent) as temporary:
        try:
            with zipfile.ZipFile(source) as archive:
                _unpack(archive, Path(temporary), max(_RATIO_FREE_BYTES, _RATIO * source.stat().st_size))
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
            raise InvalidError(
                "unreadable_weights", "Not a folder, nor a zip of one. Send the model's folder of files."
            ) from error
        yield Path(temporary)


def _unpack(archive: zipfile.ZipFile, folder: Path, most: int) -> None:
    """Every plain file, below at most one wrapping folder; names that lead elsewhere, and bombs, are refused."""
    if len(archive.infolist()) > _FILES:
        raise ValueError("no model has so many files")
    members = [member for member in archive.infolist() if not member.is_dir() and not _is_litter(member.filename)]
    names = [PurePosixPath(member.filename) for member in members]
    wrapped = bool(names) and len({name.parts[0] for name in names}) == 1 and all(len(name.parts) > 1 for name in names)
    for member, name in zip(members, names, strict=True):
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename or _is_link(member):
            raise ValueError("a name in the archive leads out of it")
        target = folder.joinpath(*name.parts[1:] if wrapped else name.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as packed, target.open("xb") as file:
            while chunk := packed.read(_MIB):
                most -= len(chunk)
                if most < 0:
                    raise ValueError("it unpacks to far more than its size")
                file.write(chunk)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.endswith(".DS_Store")


def _json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise InvalidError("unreadable_weights", f"{path.name} is not JSON. Fetch the model again.") from error
    return content if isinstance(content, dict) else {}


def _unsafe(reason: str) -> InvalidError:
    return InvalidError(
        "unsafe_weights",
        f"The model is not loaded: {reason}. Use one with safetensors that transformers knows without code of its own.",
    )
