import hashlib
import os
import resource
from pathlib import Path

import pytest

from models_store.artifacts import publish_directory, sha256_file, temporary_directory_beside, write_atomic


def test_sha256_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_write_atomic_makes_and_replaces_a_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_keeps_the_old_bytes_when_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomic(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_takes_the_longest_of_names(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("n" * 255), b"x")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"x"


def test_a_published_directory_holds_all_that_was_written(tmp_path: Path) -> None:
    final = tmp_path / "sets" / "final"
    with temporary_directory_beside(final) as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file").write_bytes(b"x")
        publish_directory(temporary, final)
    assert (final / "inner" / "file").read_bytes() == b"x"
    assert list(final.parent.iterdir()) == [final]


def test_a_directory_that_exists_already_is_kept(tmp_path: Path) -> None:
    final = tmp_path / "final"
    for content in (b"first", b"second"):
        with temporary_directory_beside(final) as temporary:
            (temporary / "file").write_bytes(content)
            publish_directory(temporary, final)
    assert (final / "file").read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [final]


def test_a_temporary_directory_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), temporary_directory_beside(tmp_path / "final") as temporary:
        (temporary / "file").write_bytes(b"x")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_directory_whose_process_is_gone_is_swept(tmp_path: Path) -> None:
    abandoned = tmp_path / ".tmp-0123"
    abandoned.mkdir()
    (abandoned / "file").write_bytes(b"x")
    with temporary_directory_beside(tmp_path / "final"):
        assert not abandoned.exists()


def test_a_temporary_directory_in_use_is_not_swept(tmp_path: Path) -> None:
    with temporary_directory_beside(tmp_path / "one") as first, temporary_directory_beside(tmp_path / "two") as second:
        assert first.exists()
        assert second.exists()
        assert first != second
