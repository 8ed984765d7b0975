import random
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from models_store.errors import InvalidError
from tests.worker.importing.uploads import Imports, codes, picture, pictures, zipped
from worker.importing import ImportLimits, ImportOptions, import_upload

TWO = pictures("ants", "bees", count=5)


def test_the_order_of_the_archive_does_not_matter(imports: Imports) -> None:
    names = list(TWO)
    random.Random(1).shuffle(names)
    assert imports.run(zipped({name: TWO[name] for name in names})) == imports.run(zipped(TWO))


def test_other_content_split_or_seed_is_another_set(imports: Imports) -> None:
    archives = [zipped(TWO), zipped({**TWO, "ants/0.jpg": picture(500)}), zipped({**TWO, "ants/new.jpg": picture(0)})]
    seeds = [ImportOptions(), ImportOptions(seed=1), ImportOptions(validation_fraction=0.5)]
    results = [imports.run(archive) for archive in archives] + [imports.run(archives[0], options=o) for o in seeds[1:]]
    assert len({result.fingerprint for result in results}) == 5


def test_the_same_import_twice_leaves_one_set(imports: Imports) -> None:
    first, second = imports.run(zipped(TWO)), imports.run(zipped(TWO))
    assert first == second
    assert [path.name for path in imports.destination.iterdir()] == [first.fingerprint.removeprefix("sha256:")]


def test_the_set_holds_every_file_as_uploaded(imports: Imports) -> None:
    result = imports.run(zipped(TWO))
    with imports.open(result) as itemset:
        assert {item.name: itemset.content(item) for item in itemset.items()} == TWO
    assert result.bytes == sum(map(len, TWO.values()))


def test_a_failed_import_tells_all_problems_and_leaves_nothing(imports: Imports) -> None:
    failure = imports.failure(zipped({"ants/a.jpg": b"bad", "bees/b.jpg": b"bad", "bees/c.jpg": picture()}))
    assert failure.code == "too_few_classes"
    assert codes(failure.problems) == {"ants/a.jpg": "unreadable_image", "bees/b.jpg": "unreadable_image"}
    assert list(imports.destination.iterdir()) == []


@pytest.mark.parametrize("filename", ["set.tar.gz", "set", "zip", "set.xlsx", ""])
def test_files_of_other_kinds_are_refused(imports: Imports, filename: str) -> None:
    assert imports.failure(zipped(TWO), filename).code == "unsupported_file"


@pytest.mark.parametrize("task", ["image-classification", None])
def test_the_task_may_be_named_or_inferred(imports: Imports, task: str | None) -> None:
    assert imports.run(zipped(TWO), options=ImportOptions(task=task)).task == "image-classification"


def test_a_task_that_the_file_does_not_serve_is_refused(imports: Imports) -> None:
    assert imports.failure(zipped(TWO), options=ImportOptions(task="text-classification")).code == "task_mismatch"


def test_progress_grows_from_nothing_to_one(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(zipped(TWO))
    told: list[float] = []
    import_upload(upload, "set.zip", ImportOptions(), tmp_path / "sets", ImportLimits(), told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert len(told) > len(TWO)


@pytest.mark.parametrize("at", [0.0, 0.5, 0.9])
def test_progress_may_stop_the_import_which_leaves_nothing(tmp_path: Path, at: float) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(zipped(TWO))

    def stop(fraction: float) -> None:
        if fraction >= at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_upload(upload, "set.zip", ImportOptions(), tmp_path / "sets", ImportLimits(), stop)
    assert list((tmp_path / "sets").iterdir()) == []


def test_a_full_disk_is_told_as_such_and_leaves_nothing(imports: Imports) -> None:
    archive = zipped(TWO)
    imports.run(archive)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = zipped({**TWO, "ants/big.bmp": picture(1, "BMP", 300)})
    upload = imports.destination.parent / "big.zip"
    upload.write_bytes(big)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            import_upload(upload, "set.zip", ImportOptions(), imports.destination, ImportLimits(), lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(imports.destination.iterdir())) == 1


def test_an_import_that_was_killed_leaves_nothing_to_the_next(imports: Imports) -> None:
    upload = imports.destination.parent / "killed.zip"
    upload.write_bytes(zipped(TWO))
    program = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from worker.importing import ImportLimits, ImportOptions, import_upload

        def die(fraction: float) -> None:
            if fraction > 0.9:
                os.kill(os.getpid(), signal.SIGKILL)

        import_upload(Path(sys.argv[1]), "set.zip", ImportOptions(), Path(sys.argv[2]), ImportLimits(), die)
    """)
    arguments = [sys.executable, "-c", program, str(upload), str(imports.destination)]
    ended = subprocess.run(arguments, cwd=Path(__file__).parents[3], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name[:5] for path in imports.destination.iterdir()] == [".tmp-"]
    result = imports.run(zipped(TWO))
    assert [path.name for path in imports.destination.iterdir()] == [result.fingerprint.removeprefix("sha256:")]


def test_a_failure_is_an_invalid_request_that_names_the_file(imports: Imports) -> None:
    failure = imports.failure(b"", "set.csv")
    assert isinstance(failure, InvalidError)
    assert failure.as_json()["param"] == "file"
