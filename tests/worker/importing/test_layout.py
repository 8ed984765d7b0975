import pytest

from tests.worker.importing.uploads import Imports, codes, picture, pictures, zipped
from worker.importing.layout import recognise

TWO = pictures("ants", "bees", count=3)


def test_class_folders_alone_get_a_drawn_validation_split(imports: Imports) -> None:
    result = imports.run(zipped(TWO))
    assert result.task == "image-classification"
    assert result.classes == [{"label": "ants", "count": 3}, {"label": "bees", "count": 3}]
    assert result.splits == {"train": 4, "validation": 2, "test": 0}
    assert result.problems == []


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "VAL"])
def test_split_folders_are_kept_as_given(imports: Imports, validation: str) -> None:
    files = pictures("train/ants", "train/bees", f"{validation}/ants", f"{validation}/bees", "test/bees")
    result = imports.run(zipped(files))
    assert result.splits == {"train": 4, "validation": 4, "test": 2}
    assert {item.name: item.split for item in imports.items(result)}[f"{validation}/ants/0.jpg"] == "validation"


def test_training_folder_alone_gets_a_drawn_validation_split(imports: Imports) -> None:
    result = imports.run(zipped(pictures("train/ants", "train/bees")))
    assert result.splits == {"train": 2, "validation": 2, "test": 0}
    assert imports.items(result)[0].name.startswith("train/ants/")


@pytest.mark.parametrize("folders", [("ants", "bees"), ("train/ants", "train/bees", "val/ants", "val/bees")])
def test_one_wrapping_folder_changes_nothing(imports: Imports, folders: tuple[str, ...]) -> None:
    bare = imports.run(zipped(pictures(*folders)))
    wrapped = imports.run(zipped({"README.md": b"#", **{f"my set/{k}": v for k, v in pictures(*folders).items()}}))
    assert wrapped == bare


def test_documents_outside_of_the_wrapping_folder_are_passed_over(imports: Imports) -> None:
    files = {f"set/{name}": content for name, content in TWO.items()}
    assert imports.run(zipped({**files, "docs/ants/list.txt": b"text"})).problems == []


def test_two_wrapping_folders_are_refused_with_the_reason(imports: Imports) -> None:
    failure = imports.failure(zipped({f"a/b/{name}": content for name, content in TWO.items()}))
    assert failure.code == "unknown_layout"
    assert "nested too deep" in failure.message


@pytest.mark.parametrize("folders", [("val/ants", "val/bees"), ("train", "val"), ("test/ants", "test/bees")])
def test_splits_without_training_classes_are_refused(imports: Imports, folders: tuple[str, ...]) -> None:
    assert imports.failure(zipped(pictures(*folders))).code == "unknown_layout"


def test_train_may_be_a_class_of_vehicles(imports: Imports) -> None:
    result = imports.run(zipped(pictures("train", "plane")))
    assert [row["label"] for row in result.classes] == ["plane", "train"]


@pytest.mark.parametrize(
    "litter",
    [
        "__MACOSX/ants/._0.jpg",
        ".DS_Store",
        "ants/.DS_Store",
        "ants/._0.jpg",
        "ants/Thumbs.db",
        "bees/desktop.ini",
        ".ipynb_checkpoints/0-checkpoint.jpg",
        "ants/.ipynb_checkpoints/0-checkpoint.jpg",
        ".git/config",
        "README",
        "LICENSE",
        "labels.json",
        "notes.txt",
        "train.csv",
    ],
)
def test_litter_is_passed_over_in_silence(imports: Imports, litter: str) -> None:
    clean = imports.run(zipped(TWO))
    littered = imports.run(zipped({litter: b"litter", **TWO}))
    assert littered == clean


@pytest.mark.parametrize("litter", ["train/README.txt", "docs/ants/list.txt"])
def test_documents_outside_of_class_folders_are_passed_over_beside_splits(imports: Imports, litter: str) -> None:
    assert imports.run(zipped({**pictures("train/ants", "train/bees"), litter: b"text"})).problems == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ants/readme.txt", "not_an_image"),
        ("ants/labels.json", "not_an_image"),
        ("lonely.jpg", "no_class"),
        ("ants/sub/x.jpg", "too_deep"),
        ("f" * 201 + "/x.jpg", "label_too_long"),
    ],
)
def test_a_misplaced_file_is_a_problem_and_the_rest_is_imported(imports: Imports, name: str, code: str) -> None:
    content = b"no image" if code == "not_an_image" else picture()
    result = imports.run(zipped({**TWO, name: content}))
    assert codes(result.problems) == {name: code}
    assert sum(result.splits.values()) == 6


def test_images_beside_the_split_folders_are_problems(imports: Imports) -> None:
    files = {**pictures("train/ants", "train/bees"), "extra/ants/x.jpg": picture(), "train/y.jpg": picture()}
    assert codes(imports.run(zipped(files)).problems) == {
        "extra/ants/x.jpg": "unknown_split",
        "train/y.jpg": "no_class",
    }


def test_empty_class_folders_are_no_classes(imports: Imports) -> None:
    result = imports.run(zipped({"ants/": b"", "wasps/": b"", **TWO}))
    assert [row["label"] for row in result.classes] == ["ants", "bees"]


def test_files_without_any_image_ending_are_told_by_content(imports: Imports) -> None:
    result = imports.run(zipped({name.removesuffix(".jpg"): content for name, content in TWO.items()}))
    assert sum(result.splits.values()) == 6


@pytest.mark.parametrize("files", [{}, {"x.jpg": picture()}, {"a.txt": b"text"}])
def test_an_archive_without_folders_of_images_is_refused(imports: Imports, files: dict[str, bytes]) -> None:
    assert imports.failure(zipped(files)).code == "no_images"


def test_the_order_of_paths_does_not_matter() -> None:
    paths = [("set", "train", "ants", "x.jpg"), ("set", "val", "ants", "y.jpg"), ("set", "train", "bees", "z.jpg")]
    assert recognise(paths) == recognise(reversed(paths))
