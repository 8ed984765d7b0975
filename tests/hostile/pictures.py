"""Image files by hand: those that must work, and those that no honest program writes."""

import io
import struct
import zlib
from typing import Any, Final

from PIL import Image

from tests.hostile.forms import packed_zeros, png_chunk

ORIENTATION: Final = 0x0112
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_HELD: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""Orientation → what a camera that was held so has done to the picture."""


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flat(image: Image.Image, colours: int = 64) -> Image.Image:
    """The picture in so few colours that a palette holds them all."""
    return image.quantize(colours).convert("RGB")


def equals(image: Image.Image) -> dict[str, bytes]:
    """One picture of few colours in many files, each of which holds the very same pixels."""
    files = {kind: saved(image, kind) for kind in ("PNG", "BMP", "TIFF")}
    files |= {f"TIFF {how}": saved(image, "TIFF", compression=how) for how in ("tiff_lzw", "tiff_deflate", "packbits")}
    files["WebP"] = saved(image, "WEBP", lossless=True)
    files["palette PNG"] = saved(image.quantize(256), "PNG")
    files["palette GIF"] = saved(image.quantize(256), "GIF")
    files["CMYK TIFF"] = saved(image.convert("CMYK"), "TIFF")
    files["opaque PNG"] = saved(image.convert("RGBA"), "PNG")
    files["opaque WebP"] = saved(image.convert("RGBA"), "WEBP", lossless=True)
    files["16-bit PNG"] = _sixteen_bits(image)
    files["interlaced PNG"] = _interlaced(image)
    other = Image.new("RGB", image.size, (9, 99, 199))
    for kind, how in (("GIF", {}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        files[f"first frame of {kind}"] = saved(image, kind, save_all=True, append_images=[other, other], **how)
    return files | {f"turned {kind} {way}": file for kind, way, file in _turned(image)}


def _turned(image: Image.Image) -> list[tuple[str, int, bytes]]:
    made = []
    for way, transpose in _HELD.items():
        exif = Image.Exif()
        exif[ORIENTATION] = way
        for kind, how in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
            made.append((kind, way, saved(image.transpose(transpose), kind, exif=exif, **how)))
    return made


def equal_greys(image: Image.Image) -> dict[str, bytes]:
    """One grey picture in files that hold the same pixels."""
    grey = image.convert("L")
    wide = grey.convert("I").point(lambda value: value * 257).convert("I;16")
    return {
        "RGB PNG": saved(grey.convert("RGB"), "PNG"),
        "grey PNG": saved(grey, "PNG"),
        "grey and alpha PNG": saved(grey.convert("LA"), "PNG"),
        "grey TIFF": saved(grey, "TIFF"),
        "16-bit grey PNG": saved(wide, "PNG"),
        "16-bit grey TIFF": saved(wide, "TIFF"),
    }


def equal_jpegs(image: Image.Image) -> dict[str, bytes]:
    """JPEGs of the same coefficients, and so of the same pixels."""
    exif = Image.Exif()
    exif[0x010E] = "a description"
    return {
        "baseline": saved(image, "JPEG", quality=90),
        "progressive": saved(image, "JPEG", quality=90, progressive=True),
        "optimised": saved(image, "JPEG", quality=90, optimize=True),
        "with restarts": saved(image, "JPEG", quality=90, restart_marker_blocks=1),
        "with EXIF": saved(image, "JPEG", quality=90, exif=exif),
        "several pictures": saved(image, "MPO", quality=90, save_all=True, append_images=[image.rotate(90)]),
    }


def transparent(image: Image.Image) -> tuple[bytes, bytes]:
    """A picture with a hole, and one in which the hole is white."""
    mask = Image.new("L", image.size, 255)
    mask.paste(0, (0, 0, image.width // 2, image.height // 2))
    holed = image.convert("RGBA")
    holed.putalpha(mask)
    white = Image.composite(image, Image.new("RGB", image.size, "white"), mask)
    return saved(holed, "PNG"), saved(white, "PNG")


def _sixteen_bits(image: Image.Image) -> bytes:
    rows = b"".join(b"\0" + bytes(value for value in _row(image, y) for _ in range(2)) for y in range(image.height))
    header = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    return _png(header, zlib.compress(rows))


def _row(image: Image.Image, y: int) -> bytes:
    return image.crop((0, y, image.width, y + 1)).tobytes()


def _interlaced(image: Image.Image) -> bytes:
    """Adam7: seven smaller pictures, one after the other."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b""
    for left, top, right_step, down_step in passes:
        for y in range(top, image.height, down_step):
            row = _row(image, y)
            rows += b"\0" + b"".join(row[3 * x : 3 * x + 3] for x in range(left, image.width, right_step))
    return _png(struct.pack(">IIBBBBB", *image.size, 8, 2, 0, 0, 1), zlib.compress(rows))


def _png(header: bytes, data: bytes, *before: bytes) -> bytes:
    return _PNG + png_chunk(b"IHDR", header) + b"".join(before) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


# -- what must be refused ----------------------------------------------------------------------------------------------


def huge() -> dict[str, bytes]:
    """Some hundred bytes that declare 60,000 x 60,000 pixels, or as many as the format has room for."""
    tags = [(256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    frame = struct.pack("<IIBBBBB", 0, 0, 0, 0, 0, 0, 0)
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (59_999).to_bytes(3, "little") * 2
    webp = canvas + b"VP8L" + struct.pack("<I", len(frame)) + frame
    return {
        "huge.png": _png(struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), packed_zeros(2**20)),
        "huge.gif": b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + _gif_frame(60_000),
        "huge.bmp": _bmp(60_000, 60_000, 0, b""),
        "huge.tif": tiff(tags, b""),
        "huge.jpg": jpeg(60_000, 60_000, scans=1)[:1000],
        "huge.webp": b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp,
    }


def laborious() -> dict[str, bytes]:
    """Small pictures whose reading would take minutes or gigabytes, were nothing bounded but their pixels."""
    return {
        "scans.jpg": jpeg(7_000, 7_000, scans=10_000),
        "segments.jpg": _inside(saved(Image.new("RGB", (8, 8)), "JPEG"), 2, b"\xff\xfe\0\2" * 300_000),
        "fill.jpg": _inside(saved(Image.new("RGB", (8, 8)), "JPEG"), 2, b"\xff" * 1_000_000),
        "chunks.png": _png(struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0), b"", png_chunk(b"abCd", b"") * 100_000),
        "texts.png": _png(struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0), b"", *[_text_bomb()] * 100),
        "blocks.gif": b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b"!\xfe\0" * 300_000 + _gif_frame(8),
        "comment.gif": b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b"!\xfe" + b"\1a" * 500_000 + b"\0",
        "strips.tif": _strips(300_000),
        "values.tif": tiff([*_TAGS, (258, 3, 400_000, 8)], bytes(800_000)),
        "tiles.tif": tiff([*_TAGS, (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 8)], b""),
        "runs.bmp": _bmp(5_000, 5_000, 1, b"\1\7" * 600_000),
    }


def disguised() -> dict[str, bytes]:
    """Something else under the name of a picture."""
    card = b"SIMPLE  =                    T".ljust(80) + b"BITPIX  =                    8".ljust(80)
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/evil-canary) (w) file closefile\n%%EOF\n"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/><script>alert(1)</script></svg>'
    return {
        "fits.jpg": card + b"NAXIS   =                    0".ljust(80) + b"END".ljust(80) + bytes(2560),
        "eps.jpg": postscript,
        "svg.png": svg,
        "page.gif": b"<!doctype html><script>alert(1)</script>",
        "psd.tif": b"8BPS\0\1" + bytes(200),
        "icon.bmp": saved(Image.new("RGB", (16, 16)), "ICO"),
        "pixmap.png": saved(Image.new("RGB", (16, 16)), "PPM"),
        "program.jpg": b"\x7fELF" + bytes(200),
        "archive.jpg": b"PK\3\4" + bytes(200),
        "pdf.png": saved(Image.new("RGB", (16, 16)), "PDF"),
        "pickle.webp": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "nothing.jpg": b"",
        "magick.png": b"push graphic-context\nfill 'url(https://x|touch /tmp/evil-canary)'\npop graphic-context",
        "wide.tif": saved(Image.new("F", (8, 8)), "TIFF"),
    }


def truncated(image: Image.Image) -> dict[str, bytes]:
    """The beginning of every format."""
    endings = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif"}
    files = {ending: saved(image, kind) for kind, ending in endings.items()}
    return {f"cut.{ending}": content[: len(content) * 2 // 3] for ending, content in files.items()}


_TAGS: Final = [(256, 4, 1, 8), (257, 4, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]


def tiff(tags: list[tuple[int, int, int, int]], behind: bytes) -> bytes:
    """A little-endian TIFF of one directory; where a tag has several values, they are what comes ``behind`` it."""
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, kind, n, value if n == 1 else start) for tag, kind, n, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + behind


def jpeg(width: int, height: int, *, scans: int) -> bytes:
    """A grey picture, whose progressive scans say nothing and take some bytes each."""
    blocks = -(-width // 8) * -(-height // 8)
    head = [
        _segment(0xDB, b"\0" + b"\1" * 64),
        _segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"),
        _segment(0xC4, b"\0" + b"\1" + bytes(15) + b"\0"),
        _segment(0xC4, b"\x10" + b"\1" + bytes(15) + b"\xe0"),  # one code: so many blocks are empty
        _segment(0xDA, b"\1\1\0\0\0\0") + bytes(-(-blocks // 8)),
    ]
    again = _segment(0xDA, b"\1\1\0\1\x3f\0") + bytes(-(-blocks // 16_384) * 15 // 8 + 1)
    return b"\xff\xd8" + b"".join(head) + again * (scans - 1) + b"\xff\xd9"


def _segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def _inside(content: bytes, place: int, more: bytes) -> bytes:
    return content[:place] + more + content[place:]


def _text_bomb() -> bytes:
    return png_chunk(b"zTXt", b"k\0\0" + packed_zeros(2**20 - 1))


def _gif_frame(side: int) -> bytes:
    return b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\2\1\x44\0;"


def _bmp(width: int, height: int, compression: int, data: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(data), 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + bytes(1024) + data


def _strips(count: int) -> bytes:
    tags = [(256, 4, 1, 1), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, count, 0)]
    return tiff([*tags, (278, 4, 1, 1)], struct.pack("<I", 8) * count)
