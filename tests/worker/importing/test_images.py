import dataclasses

import pytest

from tests.worker.importing.uploads import Imports, codes, picture, pictures, zipped

TWO = pictures("ants", "bees", count=3)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("WEBP", "RGB"),
        ("BMP", "RGB"),
        ("GIF", "P"),
        ("TIFF", "RGB"),
    ],
)
def test_every_known_format_is_kept_byte_for_byte(imports: Imports, kind: str, mode: str) -> None:
    content = picture(33, kind, mode=mode)
    result = imports.run(zipped({**TWO, "ants/x.img": content}))
    assert result.problems == []
    with imports.open(result) as itemset:
        (item,) = [item for item in itemset.items() if item.name == "ants/x.img"]
        assert itemset.content(item) == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff\xe0 not really",
        picture(3, side=64)[:-200],
        picture(3, "PNG", 64)[:-30],
        b"SIMPLE  = T",
        b"<svg/>",
    ],
)
def test_what_does_not_decode_is_listed_and_left_out(imports: Imports, content: bytes) -> None:
    result = imports.run(zipped({**TWO, "ants/bad.jpg": content}))
    assert codes(result.problems) == {"ants/bad.jpg": "unreadable_image"}
    assert "ants/bad.jpg" not in [item.name for item in imports.items(result)]


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA"])
def test_formats_beyond_the_known_are_refused_whatever_their_name(imports: Imports, kind: str) -> None:
    result = imports.run(zipped({**TWO, "ants/x.jpg": picture(3, kind)}))
    assert codes(result.problems) == {"ants/x.jpg": "unreadable_image"}


def test_images_with_too_many_pixels_are_listed(imports: Imports) -> None:
    imports.limits = dataclasses.replace(imports.limits, pixels=1000)
    result = imports.run(zipped({**TWO, "bees/big.png": picture(3, "PNG", 40)}))
    assert codes(result.problems) == {"bees/big.png": "image_too_large"}


def test_all_bad_images_are_listed_at_once_in_the_order_of_the_archive(imports: Imports) -> None:
    bad = {f"ants/bad{number:02}.jpg": b"bad" for number in range(40)}
    result = imports.run(zipped({**bad, **TWO}))
    assert [problem["item"] for problem in result.problems] == list(bad)
