import io
from random import Random

import pytest
from PIL import Image

from tests.worker.importing.uploads import Imports, picture, zipped
from worker.importing import ImportResult

REVIEW = "the story number {} was told well"


def warned(result: ImportResult) -> dict[str, str]:
    """Code → item."""
    return {entry["code"]: entry["item"] for entry in result.warnings}


def csv(*rows: tuple[str, str]) -> bytes:
    return "\n".join(["text,label", *(f"{text},{label}" for text, label in rows), ""]).encode()


def reviews(label: str, count: int) -> list[tuple[str, str]]:
    return [(f"{label} {REVIEW.format(number * 7919)}", label) for number in range(count)]


def test_a_set_of_sentences_in_even_classes_has_no_warnings(imports: Imports) -> None:
    assert imports.run(csv(*reviews("good", 20), *reviews("bad", 15)), "set.csv").warnings == []


@pytest.mark.parametrize(("rare", "warns"), [(10, False), (9, True)])
def test_a_class_over_ten_times_as_large_as_another_is_told(imports: Imports, rare: int, warns: bool) -> None:
    splits = [(f"{text},{label}", split) for split in ("train",) for text, label in reviews("good", 100)]
    splits += [(f"{text},{label}", "train") for text, label in reviews("bad", rare)]
    splits += [("something else entirely,bad", "validation")]
    result = imports.run(
        ("text,label,split\n" + "".join(f"{row},{split}\n" for row, split in splits)).encode(), "s.csv"
    )
    assert warned(result) == ({"uneven_classes": "bad"} if warns else {})


def test_texts_of_one_word_and_overlong_ones_are_told_once_each(imports: Imports) -> None:
    odd = [(word, "good") for word in ("great", "super", "재밌다", "nice")]
    odd += [(" ".join(f"{Random(seed).random()}" for _ in range(130)), "bad") for seed in (1, 2)]
    result = imports.run(csv(*reviews("good", 10), *reviews("bad", 10), *odd), "set.csv")
    assert warned(result) == {"one_word_texts": "line 22", "long_texts": "line 26"}
    message = next(entry["message"] for entry in result.warnings if entry["code"] == "one_word_texts")
    assert message.startswith("4 of 26 texts (15%: 'line 22', 'line 23', 'line 24', …)")


def test_small_and_narrow_images_are_told_once_each(imports: Imports) -> None:
    files = {f"{label}/{n}.png": picture(n + 40 * (label == "b"), "PNG", 64) for label in "ab" for n in range(4)}
    assert imports.run(zipped(files)).warnings == []
    files["a/small.png"] = picture(100, "PNG", 63)
    files["b/wide.png"] = _wide()
    assert warned(imports.run(zipped(files))) == {"small_images": "a/small.png", "narrow_images": "b/wide.png"}


def test_the_order_of_the_upload_does_not_change_the_warnings(imports: Imports) -> None:
    files = {f"{label}/{n}.png": picture(n + 40 * (label == "b"), "PNG") for label in "ab" for n in range(9)}
    backwards = dict(reversed(files.items()))
    assert imports.run(zipped(backwards)).warnings == imports.run(zipped(files)).warnings


def _wide() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (261, 65), (9, 9, 200)).save(file, "PNG")
    return file.getvalue()
