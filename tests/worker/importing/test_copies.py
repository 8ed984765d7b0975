"""Copies in whole uploads: what is told of them, and on which side they end."""

import csv
import io
import random
from collections.abc import Iterable

import pytest
from PIL import Image, ImageDraw

from models_store.itemset import Item
from tests.worker.importing.uploads import Imports, codes, zipped
from worker.importing import ImportOptions, ImportResult

GROUPED = ImportOptions(split="grouped")
Row = tuple[str, str, str]


def scene(seed: int, quality: int = 90) -> bytes:
    """A JPEG of some shapes; another quality gives another file of the same scene."""
    chance = random.Random(seed)
    image = Image.new("RGB", (64, 64), tuple(chance.randrange(256) for _ in range(3)))
    for _ in range(10):
        left, top = chance.randrange(50), chance.randrange(50)
        colour = tuple(chance.randrange(256) for _ in range(3))
        ImageDraw.Draw(image).ellipse(
            (left, top, left + chance.randrange(8, 40), top + chance.randrange(8, 40)), colour
        )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def scenes(*folders: str, count: int = 8) -> dict[str, bytes]:
    names = [f"{folder}/{number}.jpg" for folder in folders for number in range(count)]
    return {name: scene(seed) for seed, name in enumerate(names)}


def sentence(seed: int) -> str:
    chance = random.Random(seed)
    return " ".join("".join(chance.choices("abcdefghijklmnop", k=chance.randrange(2, 9))) for _ in range(15))


def table(rows: Iterable[Row], *, with_splits: bool = True) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(row if with_splits else row[:2] for row in [("text", "label", "split"), *rows])
    return file.getvalue().encode()


def rows(count: int = 10) -> list[Row]:
    """Distinct sentences: two classes in training, validation and test."""
    splits = ["train"] * count + ["validation"] * 3 + ["test"] * 3
    return [
        (sentence(1000 * at + number), label, split)
        for at, label in enumerate(("bad", "good"))
        for number, split in enumerate(splits)
    ]


def texts(imports: Imports, result: ImportResult) -> dict[str, list[str]]:
    """Split → texts."""
    with imports.open(result) as itemset:
        return {split: [itemset.content(item).decode() for item in itemset.items(split)] for split in result.splits}


def split_of(items: list[Item], name: str) -> str:
    return next(item.split for item in items if item.name == name)


def test_an_upload_of_different_images_has_no_problems(imports: Imports) -> None:
    assert imports.run(zipped(scenes("ants", "bees", count=30))).problems == []


def test_copies_in_a_given_split_are_told_and_kept(imports: Imports) -> None:
    files = scenes("train/ants", "train/bees", "val/ants", "val/bees")
    files |= {"val/ants/same.jpg": files["train/ants/3.jpg"], "val/bees/like.jpg": scene(11, quality=60)}
    result = imports.run(zipped(files))
    assert codes(result.problems) == {
        "train/ants/3.jpg": "duplicate_across_splits",
        "train/bees/3.jpg": "near_duplicate_across_splits",
    }
    assert sum(result.splits.values()) == len(files)


def test_a_split_that_is_drawn_keeps_copies_on_one_side(imports: Imports) -> None:
    files = scenes("ants", "bees", count=20)
    files |= {f"ants/copy{number}.jpg": files[f"ants/{number}.jpg"] for number in range(10)}
    files |= {f"bees/copy{number}.jpg": scene(20 + number, quality=60) for number in range(10)}
    result = imports.run(zipped(files))
    items = imports.items(result)
    for label in ("ants", "bees"):
        for number in range(10):
            assert split_of(items, f"{label}/{number}.jpg") == split_of(items, f"{label}/copy{number}.jpg")
    assert result.splits == {"train": 48, "validation": 12, "test": 0}
    assert set(codes(result.problems).values()) == {"duplicate_items", "near_duplicate_items"}
    assert len(result.problems) == 20


def test_an_image_under_two_labels_is_a_conflict(imports: Imports) -> None:
    files = scenes("ants", "bees")
    result = imports.run(zipped({**files, "bees/ant.jpg": files["ants/0.jpg"]}))
    assert codes(result.problems) == {"ants/0.jpg": "conflicting_labels"}


def test_leaking_texts_are_told_by_their_lines(imports: Imports) -> None:
    leaking = [*rows(), (sentence(0).upper(), "bad", "validation"), (sentence(1) + "!", "bad", "test")]
    result = imports.run(table(leaking), "set.csv")
    assert codes(result.problems) == {"line 2": "duplicate_across_splits", "line 3": "near_duplicate_across_splits"}
    assert result.splits == {"train": 20, "validation": 7, "test": 7}


def test_grouped_draws_anew_and_no_copy_is_on_two_sides(imports: Imports) -> None:
    leaking = [*rows(), *((sentence(number) + "!", "bad", "validation") for number in range(6))]
    result = imports.run(table(leaking), "set.csv", GROUPED)
    split = {text: its_split for its_split, found in texts(imports, result).items() for text in found}
    for number in range(6):
        assert split[sentence(number)] == split[sentence(number) + "!"]
    assert result.splits == {"train": 25, "validation": 7, "test": 6}
    assert set(codes(result.problems).values()) == {"near_duplicate_items"}


def test_grouped_keeps_the_test_split_and_leaves_out_its_copies(imports: Imports) -> None:
    leaking = [*rows(), (sentence(0) + "!", "bad", "test"), (sentence(0), "bad", "validation")]
    result = imports.run(table(leaking), "set.csv", GROUPED)
    found = texts(imports, result)
    assert sentence(0) + "!" in found["test"]
    assert sentence(0) not in found["train"] + found["validation"]
    assert codes(result.problems) == {"line 2": "copy_of_test_item"}
    assert "2 items ('line 2', 'line 35')" in result.problems[0]["message"]
    assert sum(result.splits.values()) == len(leaking) - 2


def test_which_texts_validate_does_not_depend_on_the_order_of_the_rows(imports: Imports) -> None:
    distinct = [*rows(40), (sentence(0) + "!", "bad", "train"), (sentence(1), "bad", "train")]
    shuffled = random.Random(3).sample(distinct, len(distinct))
    ways = [imports.run(table(some, with_splits=False), "set.csv") for some in (distinct, shuffled)]
    found = [{split: sorted(its) for split, its in texts(imports, result).items()} for result in ways]
    assert found[0] == found[1]


def test_classes_of_one_content_each_can_still_be_validated_and_it_is_told(imports: Imports) -> None:
    same = [("good film", "good", ""), ("bad film", "bad", "")] * 10
    result = imports.run(table(same, with_splits=False), "set.csv")
    assert result.splits == {"train": 16, "validation": 4, "test": 0}
    assert set(codes(result.problems).values()) == {"duplicate_across_splits"}


def test_a_class_of_one_content_among_others_is_kept_for_training_and_told(imports: Imports) -> None:
    mixed = [("so so", "mixed", "")] * 9
    result = imports.run(table([*mixed, *rows()], with_splits=False), "set.csv")
    assert codes(result.problems)["mixed"] == "tiny_class"
    assert "so so" not in texts(imports, result)["validation"]


def test_the_same_upload_twice_tells_the_same(imports: Imports) -> None:
    files = scenes("ants", "bees", count=20)
    files |= {f"ants/copy{number}.jpg": files[f"ants/{number}.jpg"] for number in range(10)}
    assert imports.run(zipped(files)) == imports.run(zipped(dict(reversed(files.items()))))


@pytest.mark.parametrize("split", ["given", "grouped"])
def test_without_copies_the_split_is_the_same_either_way(imports: Imports, split: str) -> None:
    files = zipped(scenes("ants", "bees", count=20))
    assert imports.run(files, options=ImportOptions(split=split)).fingerprint == imports.run(files).fingerprint
