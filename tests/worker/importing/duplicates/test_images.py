import io
import random
import tempfile
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from worker.importing.duplicates.groups import ALONE, copies
from worker.importing.duplicates.images import Thumbnails, thumbnail

Edit = Callable[[Image.Image], Image.Image]


def scene(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """Some shapes of many colours on a coloured ground."""
    chance = random.Random(seed)

    def colour() -> tuple[int, int, int]:
        return chance.randrange(256), chance.randrange(256), chance.randrange(256)

    image = Image.new("RGB", size, colour())
    for _ in range(12):
        left, top = chance.randrange(size[0]), chance.randrange(size[1])
        ImageDraw.Draw(image).ellipse(
            (left, top, left + chance.randrange(5, 50), top + chance.randrange(5, 50)), colour()
        )
    return image


def found(images: list[Image.Image]) -> set[tuple[int, int]]:
    """Pairs of places whose images are in one group; to the bit identical ones are not looked for."""
    with tempfile.TemporaryFile() as file:
        thumbnails = Thumbnails(file)
        for image in images:
            thumbnails.add(thumbnail(image))
        groups = copies(np.arange(len(images), dtype=np.uint64), thumbnails.likeness, lambda: None).tolist()
    return {(a, b) for a, b in combinations(range(len(images)), 2) if groups[a] == groups[b] != ALONE}


def packed_anew(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=60)
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize(
    "edit",
    [
        packed_anew,
        lambda image: image.resize((48, 36)),
        lambda image: image.resize((300, 225)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    ],
    ids=["packed-anew", "halved", "enlarged", "brightened"],
)
def test_an_edited_copy_is_found_among_others(edit: Edit) -> None:
    images = [scene(seed) for seed in range(60)]
    copied = [(place, 60 + place) for place in range(20)]
    assert found([*images, *(edit(images[place]) for place in range(20))]) == set(copied)


def test_different_scenes_are_no_copies() -> None:
    assert found([scene(seed) for seed in range(400)]) == set()


def test_plain_images_with_faint_shadows_are_no_copies_of_one_another() -> None:
    shadow = scene(1).convert("L").point([level // 50 for level in range(256)])
    shades = [
        Image.merge("RGB", [shadow.point([shade + level for level in range(256)])] * 3) for shade in range(0, 240, 8)
    ]
    assert found(shades) == set()


def test_the_same_shape_in_another_shade_is_no_copy() -> None:
    images = [Image.new("RGB", (64, 64)) for _ in range(3)]
    for image, shade in zip(images, (90, 170, 250), strict=True):
        ImageDraw.Draw(image).polygon([(10, 60), (20, 8), (50, 12), (55, 58)], (shade, shade, shade))
    assert found(images) == set()


def test_the_same_shape_in_another_colour_is_no_copy() -> None:
    images = [Image.new("RGB", (64, 64), (128, 128, 128)) for _ in range(2)]
    for image, as_bright in zip(images, ((188, 128, 128), (128, 159, 128)), strict=True):
        ImageDraw.Draw(image).polygon([(10, 60), (20, 8), (30, 12), (35, 58)], as_bright)
    assert found(images) == set()


def test_a_scene_with_one_object_more_is_no_copy() -> None:
    scenes = [scene(seed) for seed in range(40)]
    with_more = [image.copy() for image in scenes]
    for image in with_more:
        ground = image.crop((40, 30, 56, 46)).convert("L")
        grey = 255 if sum(ground.tobytes()) < 128 * 256 else 0
        ImageDraw.Draw(image).ellipse((40, 30, 56, 46), (grey, grey, grey))
    assert found(scenes + with_more) == set()


def test_drawings_on_a_plain_ground_that_differ_in_one_place_are_told_apart() -> None:
    images = []
    for left in range(0, 48, 4):
        image = Image.new("RGB", (64, 64), (255, 255, 255))
        ImageDraw.Draw(image).rectangle((left, 20, left + 12, 40), (0, 0, 0))
        images.append(image)
    assert found(images) == set()


def test_images_of_other_proportions_have_thumbnails_of_one_size() -> None:
    sizes = [(1, 1), (1000, 1), (1, 1000), (28, 28), (640, 480)]
    assert {len(thumbnail(Image.new("RGB", size))) for size in sizes} == {768}
