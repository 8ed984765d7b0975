"""Leaks in uploads, told and mended through the real processes."""

import io
import zipfile

from tests.e2e import sets
from tests.e2e.service import Service


def leaking_pictures() -> bytes:
    """Class folders in Korean with given splits; one picture of training is in validation, too."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, colour in (("개미", "red"), ("꿀벌", "blue")):
            for split, numbers in (("train", range(8)), ("val", range(8, 12))):
                for number in numbers:
                    archive.writestr(f"{split}/{label}/{number}.jpg", sets.picture(colour, number))
        archive.writestr("val/개미/사본.jpg", sets.picture("red", 3))
    return buffer.getvalue()


def leaking_texts() -> bytes:
    """Reviews with given splits; the first of training is the first of validation and, with a full stop, of test."""
    subjects = ["배우", "이야기", "음악", "화면", "대사", "결말", "속도", "의상", "편집", "조명"]
    rows = [
        (f"{subject} 참 {word} 영화였다", label)
        for word, label in (("좋은", "긍정"), ("나쁜", "부정"))
        for subject in subjects
    ]
    lines = [f"{text},{label},{'train' if number % 5 else 'validation'}" for number, (text, label) in enumerate(rows)]
    copied = [f"{rows[1][0]},긍정,validation", f"{rows[2][0]}.,긍정,test"]
    return "\n".join(["text,label,split", *lines, *copied, ""]).encode()


def test_a_picture_in_two_splits_is_told_and_a_grouped_split_mends_it(service: Service) -> None:
    given = service.upload("leaking.zip", leaking_pictures())
    assert [(entry["item"], entry["code"]) for entry in given["problems"]] == [
        ("train/개미/3.jpg", "duplicate_across_splits")
    ]
    assert "split=grouped" in given["problems"][0]["message"]
    assert [entry["code"] for entry in given["warnings"]] == ["small_images"]
    assert given["splits"] == {"train": 16, "validation": 9, "test": 0}
    grouped = service.upload("leaking.zip", leaking_pictures(), split="grouped")
    assert [entry["code"] for entry in grouped["problems"]] == ["duplicate_items"]
    assert grouped["splits"] == {"train": 20, "validation": 5, "test": 0}
    assert grouped["fingerprint"] != given["fingerprint"]


def test_a_text_in_two_splits_is_told_and_a_grouped_split_mends_it(service: Service) -> None:
    given = service.upload("leaking.csv", leaking_texts())
    assert {entry["item"]: entry["code"] for entry in given["problems"]} == {
        "line 3": "duplicate_across_splits",
        "line 4": "near_duplicate_across_splits",
    }
    grouped = service.upload("leaking.csv", leaking_texts(), split="grouped")
    assert {entry["item"]: entry["code"] for entry in grouped["problems"]} == {
        "line 22": "duplicate_items",
        "line 4": "copy_of_test_item",
    }
    items = service.client.get(f"/datasets/{grouped['id']}/items", params={"limit": 100}).json()["data"]
    assert len({item["split"] for item in items if item["name"] in {"line 3", "line 22"}}) == 1
    assert "line 4" not in {item["name"] for item in items}
