"""Multipart bodies and zip archives by hand."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable

BOUNDARY = "b"
KIND = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, filename: str | None = None, *headers: str) -> bytes:
    """One part of a form."""
    file = "" if filename is None else f'; filename="{filename}"'
    lines = [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"{file}', *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogatepass") + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole body."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def archive(files: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with these files; one name may come twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in files:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            made.writestr(info, content)
    return buffer.getvalue()


def overlapping(count: int, kernel: bytes) -> bytes:
    """Many files whose directory entries all lead to one and the same packed content (after David Fifield's bomb)."""
    packed = _deflated(kernel)
    local = _local(b"red/0.jpg", kernel, packed) + packed
    entries = b"".join(_entry(b"red/%d.jpg" % number, kernel, packed, 0) for number in range(count))
    return local + entries + _end(count, len(entries), len(local))


def quoted(count: int, kernel: bytes) -> bytes:
    """Fifield's "quoted overlap": each file's content is the local header of the next, stored, and then its content."""
    packed = _deflated(kernel)
    body, offsets = b"", []
    for number in reversed(range(count)):
        name = b"red/%d.jpg" % number
        if not body:
            body = _local(name, kernel, packed) + packed
            offsets = [(name, 0, len(packed), len(kernel), kernel)]
            continue
        header = struct.pack("<BHH", 0, len(body), 0xFFFF ^ len(body)) if len(body) < 65536 else b""
        head = _local(name, kernel, header + body)
        offsets = [(n, at + len(head) + len(header), p, u, k) for n, at, p, u, k in offsets]
        body = head + header + body
        offsets.insert(0, (name, 0, len(body) - len(head), len(body) + len(kernel), kernel))
    entries = b"".join(_entry(n, k, b"x" * p, at) for n, at, p, _u, k in offsets)
    return body + entries + _end(count, len(entries), len(body))


def empties(count: int) -> bytes:
    """A zip of so many empty files."""
    names = [b"red/%d.jpg" % number for number in range(count)]
    locals_, offsets, at = [], [], 0
    for name in names:
        offsets.append(at)
        locals_.append(_local(name, b"", b""))
        at += len(locals_[-1])
    entries = b"".join(_entry(name, b"", b"", offset) for name, offset in zip(names, offsets, strict=True))
    return b"".join(locals_) + entries + _end(count, len(entries), at)


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _local(name: bytes, content: bytes, packed: bytes) -> bytes:
    sizes = (zlib.crc32(content), len(packed), len(content), len(name), 0)
    return struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, *sizes) + name


def _entry(name: bytes, content: bytes, packed: bytes, offset: int) -> bytes:
    sizes = (zlib.crc32(content), len(packed), len(content), len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes) + name


def _end(count: int, size: int, offset: int) -> bytes:
    shown = min(count, 0xFFFF)
    return struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, shown, shown, size, offset, 0)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def packed_zeros(count: int) -> bytes:
    """So many zero bytes as zlib packs them."""
    return zlib.compress(bytes(count), 9)
