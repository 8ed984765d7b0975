import numpy as np
import pytest
from PIL import Image, ImageChops

from tests.models_store.samples import noise
from worker.training import pictures

FILL = (1, 2, 3)


def changed(strength: str, seed: int, image: Image.Image | None = None) -> Image.Image:
    return pictures.CHANGES[strength](image or noise(60, 40), np.random.default_rng(seed), FILL)


@pytest.mark.parametrize("strength", ["light", "strong"])
def test_equal_chances_give_equal_pictures_and_others_give_others(strength: str) -> None:
    pixels = [changed(strength, seed).tobytes() for seed in (1, 1, 2)]
    assert pixels[0] == pixels[1] != pixels[2]


@pytest.mark.parametrize("strength", ["light", "strong"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_odd_pictures_stay_pictures_and_are_not_touched_themselves(strength: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    before = image.tobytes()
    for seed in range(30):
        result = changed(strength, seed, image)
        assert result.mode == "RGB"
        assert 1 <= result.width <= size[0]
        assert 1 <= result.height <= size[1]
    assert image.tobytes() == before


@pytest.mark.parametrize(("strength", "smallest"), [("light", 0.7), ("strong", 0.35)])
def test_what_is_left_of_a_picture_is_as_large_as_said(strength: str, smallest: float) -> None:
    image = noise(100, 80)
    shares = [result.width * result.height / 8_000 for result in (changed(strength, seed, image) for seed in range(60))]
    assert min(shares) > 0.95 * smallest
    assert max(shares) > 0.9
    assert max(shares) - min(shares) > 0.2


def test_about_half_of_the_pictures_are_mirrored() -> None:
    image = Image.linear_gradient("L").rotate(90).convert("RGB")  # brighter to one side
    brighter_left = [np.asarray(changed("light", seed, image)).mean((0, 2)) for seed in range(60)]
    mirrored = sum(bool(columns[0] > columns[-1]) for columns in brighter_left)
    assert 15 < mirrored < 45


@pytest.mark.parametrize("name", pictures.OPERATIONS)
def test_every_operation_changes_a_picture_and_keeps_its_form(name: str) -> None:
    image = Image.linear_gradient("L").resize((48, 32)).point(lambda value: 40 + value // 2).convert("RGB")
    image.putpixel((5, 5), (200, 30, 90))  # something to saturate
    for amount in (-0.9, 0.9):
        result = pictures.OPERATIONS[name](image, amount, FILL)
        assert (result.mode, result.size) == ("RGB", image.size)
        assert ImageChops.difference(result, image).getbbox() is not None


def test_strong_leaves_holes_of_the_given_colour_now_and_then() -> None:
    grey = Image.new("RGB", (50, 50), (128, 128, 128))
    holed = [
        seed for seed in range(80) if np.all(np.asarray(changed("strong", seed, grey)) == FILL, axis=2).mean() > 0.01
    ]
    assert holed
    assert len(holed) < 70
