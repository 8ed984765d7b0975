"""The admin key that ``finetuned up`` leaves in its data folder, readable by its owner alone."""

import os
import secrets
from pathlib import Path
from typing import Final

DEFAULT_DATA_DIR: Final = Path("finetuned-data")
_NAME: Final = "admin.key"


def data_dir_from_environment() -> Path:
    """``FINETUNED_DATA_DIR``, or the folder that ``finetuned up`` makes in the working directory."""
    return Path(os.environ.get("FINETUNED_DATA_DIR") or DEFAULT_DATA_DIR)


def read(data_dir: Path, name: str = _NAME) -> str | None:
    """The key kept in this folder, or ``None`` where there is none that we may read."""
    try:
        return (data_dir / name).read_text("utf-8").strip() or None
    except OSError:
        return None


def read_or_make(data_dir: Path, name: str = _NAME) -> tuple[str, bool]:
    """The folder's key, and whether it was made just now (and so must be shown).

    Other secrets of the folder lie under other names.
    """
    path = data_dir / name
    key = read(data_dir, name)
    if key is not None:
        path.chmod(0o600)
        return key, False
    key = "ft_" + secrets.token_urlsafe(32)
    _write_atomically(path, key + "\n")
    return key, True


def _write_atomically(path: Path, text: str) -> None:
    """The file has its mode before it has its content, and its name only when it is complete."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
