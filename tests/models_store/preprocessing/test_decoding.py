"""Whatever arrives as an image comes out upright, RGB and 8-bit, or is refused with a code."""

import random
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray
from PIL import Image

from models_store.errors import InvalidError
from models_store.preprocessing.decoding import open_image
from tests.models_store.samples import encoded, noise

ORIENTATION = 0x0112


def array(image: Image.Image) -> NDArray[numpy.uint8]:
    return numpy.asarray(image)


def code_of(content: bytes, **limits: int) -> str:
    with pytest.raises(InvalidError) as caught:
        open_image(content, **limits)
    return caught.value.code


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_their_exact_pixels(file_format: str) -> None:
    decoded = open_image(encoded(noise(), file_format))
    assert decoded.image.mode == "RGB"
    assert (array(decoded.image) == array(noise())).all()
    assert decoded.diagnostics == {"exif_applied": False, "alpha_dropped": False, "width": 40, "height": 24}


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "GIF"])
def test_other_formats_give_what_pillow_gives(file_format: str) -> None:
    content = encoded(noise(), file_format)
    assert (array(open_image(content).image) == array(Image.open(BytesIO(content)).convert("RGB"))).all()


@pytest.mark.parametrize("file_format", ["PPM", "ICO", "TGA", "PCX", "EPS"])
def test_other_formats_are_refused_whatever_their_name(file_format: str) -> None:
    assert code_of(encoded(noise(), file_format)) == "unreadable_image"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_exif_orientation_is_applied_once(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, Any] = {"quality": 100} if file_format in {"JPEG", "WEBP"} else {}
    upright = numpy.zeros((24, 40, 3), dtype=numpy.uint8)
    upright[:8, :8] = 255  # one white corner tells all eight orientations apart, with the sides' lengths
    decoded = open_image(encoded(Image.fromarray(upright), file_format, exif=exif, **options))
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    pixels = array(decoded.image)
    found = [(y, x) for y in (0, 1) for x in (0, 1) if pixels[-4 if y else 4, -4 if x else 4].min() > 128]
    assert found == [corner]
    assert decoded.image.size == ((24, 40) if orientation >= 5 else (40, 24))
    assert decoded.diagnostics["exif_applied"] is (orientation != 1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_cost_the_image() -> None:
    content = encoded(noise(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    assert open_image(content).diagnostics["exif_applied"] is False


def test_transparency_is_laid_on_white_and_told() -> None:
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    decoded = open_image(encoded(image, "PNG"))
    assert decoded.image.getpixel((0, 0)) == (255, 255, 255)
    assert decoded.image.getpixel((1, 1)) == (200, 0, 0)
    assert decoded.diagnostics["alpha_dropped"] is True


def test_a_transparent_palette_entry_becomes_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 9, 8, 7])
    image.putpixel((0, 0), 0)
    decoded = open_image(encoded(image, "PNG", transparency=0))
    assert decoded.image.getpixel((0, 0)) == (255, 255, 255)
    assert decoded.image.getpixel((1, 1)) == (9, 8, 7)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_greys_are_scaled_not_clipped(file_format: str) -> None:
    values = numpy.array([[0, 257, 32896, 65535]], dtype=numpy.uint16)
    decoded = open_image(encoded(Image.fromarray(values), file_format))
    assert array(decoded.image)[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_thirty_two_bit_images_are_refused(mode: str) -> None:
    assert code_of(encoded(Image.new(mode, (4, 4)), "TIFF")) == "unreadable_image"


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    image = noise().convert(mode)
    assert (array(open_image(encoded(image, "TIFF")).image) == array(image.convert("RGB"))).all()


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_counts(file_format: str) -> None:
    red, blue = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(red, file_format, save_all=True, append_images=[blue], **options)
    assert open_image(content).image.getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_truncated_file_is_refused(file_format: str) -> None:
    content = encoded(noise(200, 200), file_format)
    assert code_of(content[: len(content) * 3 // 4]) == "unreadable_image"


def test_the_pixel_cap_is_read_from_the_header() -> None:
    assert code_of(png_header(60_000, 60_000)) == "image_too_large"
    assert code_of(png_header(9_000, 9_000)) == "image_too_large"
    assert code_of(encoded(noise(), "PNG"), max_pixels=959) == "image_too_large"
    assert open_image(encoded(noise(), "PNG"), max_pixels=960).image.size == (40, 24)


@pytest.mark.parametrize("content", [b"", b"hello", b"SIMPLE  =" + b" " * 100, b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_is_refused(content: bytes) -> None:
    assert code_of(content) == "unreadable_image"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_damaged_bytes_never_raise_anything_else(file_format: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    options: dict[str, Any] = {"exif": exif} if file_format not in {"BMP", "GIF"} else {}
    content = encoded(noise(), file_format, **options)
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            damaged[rng.randrange(min(len(damaged), 200))] = rng.randrange(256)
        try:
            assert open_image(bytes(damaged), max_pixels=1_000_000).image.mode == "RGB"
        except InvalidError as error:
            assert error.code in {"unreadable_image", "image_too_large"}
