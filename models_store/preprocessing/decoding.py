"""The one image decoder of the product: import, training, validation and serving all call it on the same bytes."""

import struct
import zlib
from dataclasses import dataclass

import numpy
from PIL import ExifTags, Image

from models_store.errors import InvalidError
from models_store.preprocessing.screening import Reads, screen

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 50_000_000

# What Pillow's parsers are known to raise on hostile bytes, besides their documented OSError.
_PILLOW_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class DecodedImage:
    """An upright RGB image, and what was done to get it.

    ``diagnostics`` holds ``width`` and ``height`` (pixels, upright), ``exif_applied`` (it was turned or mirrored as its
    EXIF orientation asks) and ``alpha_dropped`` (it had transparency, which was laid on white).
    """

    image: Image.Image
    diagnostics: dict[str, bool | int]


def open_image(content: bytes, *, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decode JPEG, PNG, WebP, BMP, GIF or TIFF, told apart by content, never by name.

    EXIF orientation is applied; transparency is laid on white; 16-bit greys are scaled to 8 bits; CMYK, palettes and
    greys become RGB; of an animation the first frame counts. A truncated file is refused. JPEGs are decoded in full
    size (no ``draft``), so that the pixels are those that the libraries' presets see.

    Raises:
        InvalidError: ``unreadable_image``, or ``image_too_large`` when the header declares more than ``max_pixels``.
    """
    try:
        screen(content, max_pixels=max_pixels)
        file = Reads(content)
        with Image.open(file, formats=FORMATS) as opened:
            _check_size(opened, max_pixels)
            file.opened()
            return _decode(opened)
    except Image.DecompressionBombError as error:
        raise _too_large(max_pixels) from error
    except _PILLOW_ERRORS as error:
        raise InvalidError(
            "unreadable_image",
            "Not a complete image of a known format. Send a whole JPEG, PNG, WebP, BMP, GIF or TIFF file.",
        ) from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise _too_large(max_pixels)
    if image.width < 1 or image.height < 1:
        raise ValueError("an image without pixels")


def _too_large(max_pixels: int) -> InvalidError:
    return InvalidError("image_too_large", f"The image has more than {max_pixels:,} pixels. Send a smaller one.")


def _decode(image: Image.Image) -> DecodedImage:
    declared = _orientation(image)
    image.load()
    remaining = _orientation(image)  # Pillow turns TIFFs by itself while loading: never turn those twice
    transparent = image.has_transparency_data
    rgb = _to_rgb(image)
    if remaining in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[remaining])
    diagnostics: dict[str, bool | int] = {
        "exif_applied": declared in _TRANSPOSE or remaining in _TRANSPOSE,
        "alpha_dropped": transparent,
        "width": rgb.width,
        "height": rgb.height,
    }
    return DecodedImage(rgb, diagnostics)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; broken EXIF counts as upright, for the pixels are still good."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _PILLOW_ERRORS:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _grey_from_16_bits(image).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ValueError("32-bit images do not say which value is white")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _grey_from_16_bits(image: Image.Image) -> Image.Image:
    # Pillow's own convert() would clip every value above 255 to white.
    values = numpy.asarray(image).astype(numpy.uint32)
    return Image.fromarray(((values + 128) // 257).astype(numpy.uint8))
