"""Uploaded folders of Hugging Face go into the mirror through a confined process: ``python -m models_store.mirroring``.

To see whether a folder makes a model it has to be made, by what the folder itself says of its sizes and its tokenizer.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from models_store.artifacts import temporary_directory_beside
from models_store.errors import ConflictError, FinetunedError, InvalidError, Kind
from models_store.mirror import Mirror, MirrorEntry
from models_store.quarantine.confinement import confine
from models_store.quarantine.limits import cpu_seconds, wall_seconds

_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
"""The child's whole environment besides what is set here: no keys, no addresses of databases."""
_GIBIBYTE: Final = 2**30
_ERRORS: Final = {Kind.INVALID: InvalidError, Kind.CONFLICT: ConflictError}


def add(store_dir: Path, backbone: str, weights: str, source: Path) -> MirrorEntry:
    """As :meth:`Mirror.add`, of a zip that a stranger may have made.

    Raises:
        InvalidError: as there; also ``unreadable_weights``, it took more memory or time than its size explains.
        ConflictError: as there.
    """
    size = source.stat().st_size
    with temporary_directory_beside(source) as folder:
        link = folder / source.name
        link.hardlink_to(source)  # what the child unpacks beside it goes with the folder, also where it is killed
        command = [sys.executable, "-P", "-m", __name__, str(store_dir), backbone, weights, str(link)]
        try:
            done = subprocess.run(
                command,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=wall_seconds(size),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _excessive() from error
    if done.returncode or not done.stdout:
        raise _excessive()
    said = json.loads(done.stdout)
    if "error" in said:
        raise _ERRORS[Kind(said["kind"])](**said["error"])
    return MirrorEntry(**said)


def main(store_dir: Path, backbone: str, weights: str, source: Path) -> None:
    """Confine this process, then add; prints the entry or the refusal."""
    size = source.stat().st_size
    confine(more_memory=6 * size + 2 * _GIBIBYTE, file_size=20 * size + _GIBIBYTE, cpu_seconds=60 + cpu_seconds(size))
    try:
        said = asdict(Mirror(store_dir).add(backbone, weights, source))
    except FinetunedError as error:
        said = {"kind": error.kind, "error": error.as_json()}
    json.dump(said, sys.stdout)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join(path for path in sys.path if path)
    own = {"PYTHONPATH": path, "PYTHONUTF8": "1", "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
    return {**kept, **own, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "RUST_BACKTRACE": "0"}


def _excessive() -> InvalidError:
    return InvalidError(
        "unreadable_weights",
        "Reading the folder took more memory or time than its size explains. Fetch the model anew, and send that.",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
