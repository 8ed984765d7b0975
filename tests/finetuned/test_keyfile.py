"""The admin key's file."""

import stat
from pathlib import Path

from finetuned import keyfile


def test_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    key, made = keyfile.read_or_make(tmp_path)

    assert made
    assert key.startswith("ft_")
    assert keyfile.read_or_make(tmp_path) == (key, False)
    assert keyfile.read(tmp_path) == key


def test_only_the_owner_may_read_the_key(tmp_path: Path) -> None:
    keyfile.read_or_make(tmp_path)

    assert stat.S_IMODE((tmp_path / "admin.key").stat().st_mode) == 0o600


def test_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("ft_from_a_backup\n")
    (tmp_path / "admin.key").chmod(0o644)

    assert keyfile.read_or_make(tmp_path) == ("ft_from_a_backup", False)
    assert stat.S_IMODE((tmp_path / "admin.key").stat().st_mode) == 0o600


def test_folder_without_a_key_has_none(tmp_path: Path) -> None:
    assert keyfile.read(tmp_path) is None
