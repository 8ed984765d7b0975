"""What reads files of users, with good files to begin from. A target takes any bytes; what it raises is a finding."""

import io
import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from safetensors.torch import save

from app.multipart import FormReader
from models_store.errors import FinetunedError, InvalidError
from models_store.preprocessing.decoding import open_image
from models_store.quarantine import content as quarantine
from tests.e2e import sets
from tests.hostile import forms, pictures
from worker.importing import ImportFailedError, ImportLimits, ImportOptions, import_upload

_PIXELS: Final = 1_000_000
_LIMITS: Final = ImportLimits(files=1000, total_bytes=10**8, item_bytes=10**7, pixels=_PIXELS, problems=1000)


@dataclass(frozen=True)
class Target:
    """One reader. ``words`` are bytes that mean something to it."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()


def image(content: bytes) -> None:
    """Whatever comes is an upright RGB image, or refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = open_image(content, max_pixels=_PIXELS).image
        except InvalidError as error:
            assert error.code in {"unreadable_image", "image_too_large"}, error.code
            return
    assert found.mode == "RGB"
    assert 0 < found.width * found.height <= _PIXELS


def _imported(filename: str) -> Callable[[bytes], None]:
    def run(content: bytes) -> None:
        """A set whose items are readable, or refused; and nothing is left beside it."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folder = Path(temporary)
            upload, made = folder / "upload", folder / "sets"
            upload.write_bytes(content)
            try:
                result = import_upload(upload, filename, ImportOptions(), made, _LIMITS, lambda _fraction: None)
            except ImportFailedError as error:
                assert error.message, error.code
                return
            assert sum(result.splits.values()) == sum(one["count"] for one in result.classes)
            json.dumps(result.problems, ensure_ascii=False).encode()  # what a row and an answer must be able to hold
            assert {path.name for path in folder.iterdir()} == {"upload", "sets"}
            shutil.rmtree(made)

    return run


def _checkpoint(suffix: str) -> Callable[[bytes], None]:
    def run(content: bytes) -> None:
        """Tensors that can be written as safetensors, or refused."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(temporary) / f"net{suffix}"
            path.write_bytes(content)
            try:
                tensors, _ = quarantine.read(path)
                quarantine.write(tensors, path.with_name("out.safetensors"))
            except InvalidError as error:
                assert error.code in {"unreadable_weights", "unsafe_weights"}, error.code

    return run


def form(content: bytes) -> None:
    """A form that was read to its end, or refused."""
    reader = FormReader()
    try:
        parser = MultipartParser(forms.BOUNDARY, reader.callbacks())
        for start in range(0, len(content), 100):
            parser.write(content[start : start + 100])
            assert len(reader.waiting) <= len(content)
        parser.finalize()
    except (FormParserError, UnicodeDecodeError, FinetunedError):
        return  # as app.uploads takes them


def _saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


_STATE: Final = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16)}
_LIGHTNING: Final = {"state_dict": _STATE, "epoch": 3, "hyper_parameters": {"lr": 0.1}, "callbacks": {}}
_PHOTO: Final = Image.open(io.BytesIO(sets.picture("red", 1, size=24))).convert("RGB")
_ROWS: Final = [f"text number {n},{'good' if n % 2 else 'bad'}" for n in range(6)]
_OBJECTS: Final = [{"text": f"text {n} é😀", "label": n % 2 == 0, "split": "train"} for n in range(6)]
_FILES: Final = [(f"{colour}/{n}.png", pictures.saved(_PHOTO, "PNG")) for colour in ("red", "blue") for n in range(2)]
_PICTURES: Final = [
    *pictures.equals(pictures.flat(_PHOTO)).values(),
    *pictures.equal_jpegs(_PHOTO).values(),
    *pictures.equal_greys(_PHOTO).values(),
    *(pictures.jpeg(16, 16, scans=count) for count in (1, 5)),
]


def _split(words: bytes) -> list[bytes]:
    return words.split()


TARGETS: Final[dict[str, Target]] = {
    "image": Target(
        image,
        _PICTURES,
        _split(
            b"IHDR IDAT iCCP zTXt eXIf acTL fdAT \xff\xd8 \xff\xda \xff\xc2 VP8X ANIM ALPH GIF89a !\xf9\4 !\xfe "
            b"\xff\xe1\0\x10Exif\0\0 II*\0 MM\0* II+\0"
        ),
    ),
    "archive": Target(
        _imported("set.zip"),
        [
            forms.archive(_FILES),
            forms.archive(_FILES, zipfile.ZIP_STORED),
            forms.archive([("train.csv", "\n".join(["text,label", *_ROWS]).encode())]),
            forms.archive([*_FILES, ("../x", b"y"), ("é/\u202e.jpg", b"z")]),
            forms.overlapping(3, b"a" * 99),
        ],
        [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"../", b"\0", b"train/", b"\1\0\x08\0"],
    ),
    "csv": Target(
        _imported("set.csv"),
        ["\n".join(["text,label", *_ROWS]).encode(), "\n".join(["\ufefftext;label;split", "a;b;train"]).encode()],
        [b'"', b'""', b",", b"\r", b"\n", b"\0", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"=1+1", b"text,label\n"],
    ),
    "jsonl": Target(
        _imported("set.jsonl"),
        ["\n".join(json.dumps(one, ensure_ascii=bool(n)) for one in _OBJECTS).encode() for n in range(2)],
        [
            b'{"text":',
            b'"label":',
            b"[",
            b"]",
            b"{",
            b"}",
            b'"',
            b"\\ud800",
            b"\\u0000",
            b"NaN",
            b"1e999",
            b"-",
            b"null",
        ],
    ),
    "checkpoint": Target(
        _checkpoint(".pt"),
        [_saved(_STATE), _saved(_LIGHTNING), _saved(_STATE, _use_new_zipfile_serialization=False)],
        [b"cos\nsystem\n", b"\x80\x02", b"\x85R", b"ctorch\nload\n", b"PK\3\4", b"PK\1\2", b"q\0", b".", b"\x8a\x0a"],
    ),
    "safetensors": Target(
        _checkpoint(".safetensors"),
        [save(_STATE), save(_STATE, metadata={"order": '["b", "a.weight"]'})],
        [b'"dtype":', b'"shape":', b'"data_offsets":', b"[", b"]", b"F32", b"BOOL", b"F8_E4M3", b"99999999999", b"-1"],
    ),
    "form": Target(
        form,
        [forms.form(forms.part("name", b"x"), forms.part("file", b"text,label\na,b\n", "a.csv"))],
        [b"--b\r\n", b"--b--", b"\r\n\r\n", b"Content-Disposition: form-data;", b'filename="', b"filename*=utf-8''%ff"],
    ),
}
