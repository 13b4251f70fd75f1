"""Takes a photo apart and puts together only what shows it: no place, no camera, no text, nothing behind its end. Pure.

What it is, is told from its content, never from a name or a header that came with it. A photo that a phone took upright
says so in its EXIF block; that one number is kept (JPEG, WebP), all else in there is not.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from hub.i18n import _

MOST_BYTES: Final = 10 * 1_024 * 1_024
MOST_SIDE: Final = 12_000
MOST_PIXELS: Final = 60_000_000

REFUSALS: Final[dict[str, str]] = {
    "photo-kind": _("is no photo of a known kind: JPEG, PNG and WebP are taken"),
    "photo-broken": _("is a photo that is cut off or damaged"),
    "photo-large": _("is a photo of more than 10 MiB, 12,000 pixels a side, or 60 million pixels"),
    "photo-moving": _("is a moving picture; only still ones are taken"),
}
"""Why a photo is not taken, by a code that stays the same; message ids."""

EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


class Clean(NamedTuple):
    """A photo without anything that is not the picture."""

    media_type: str
    data: bytes
    width: int
    height: int


class BadPhoto(ValueError):
    """It is not taken; `code` is one of REFUSALS."""

    def __init__(self, code: str) -> None:
        super().__init__(REFUSALS[code])
        self.code = code


def clean(data: bytes) -> Clean:
    """The photo in `data` without place, camera and texts. Raises `BadPhoto`."""
    if len(data) > MOST_BYTES:
        raise BadPhoto("photo-large")
    if data.startswith(b"\xff\xd8\xff"):
        found = _jpeg(data)
    elif data.startswith(_PNG):
        found = _png(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = _webp(data)
    else:
        raise BadPhoto("photo-kind")
    if not (0 < found.width <= MOST_SIDE and 0 < found.height <= MOST_SIDE):
        raise BadPhoto("photo-broken" if not (found.width and found.height) else "photo-large")
    if found.width * found.height > MOST_PIXELS:
        raise BadPhoto("photo-large")
    return found


# JPEG: segments. Kept: tables, frames, scans, JFIF without a thumbnail, colour profile, Adobe's colour transform.

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xDC, 0xCC})
_RESTARTS = range(0xD0, 0xD8)


def _jpeg(data: bytes) -> Clean:
    kept = [b"\xff\xd8"]
    size, upright, scanned = None, 1, False
    at = 2
    while True:
        marker, at = _marker(data, at)
        if marker == 0xD9:
            break
        if marker in _RESTARTS or marker in (0x00, 0x01, 0xD8):
            raise BadPhoto("photo-broken")
        (length,) = _unpack(">H", data, at)
        body = data[at + 2 : at + length]
        if length < 2 or len(body) != length - 2:
            raise BadPhoto("photo-broken")
        segment = data[at - 2 : at + length]
        at += length
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            upright = _orientation(body[6:]) or upright
        elif marker in _FRAMES:
            height, width = _unpack(">HH", body, 1)
            size = (width, height)
            kept.append(segment)
        elif marker == 0xDA:
            scan_end = _scan_end(data, at)
            kept.append(segment + data[at:scan_end])
            at, scanned = scan_end, True
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
            kept.append(b"\xff\xe0\x00\x10" + body[:12] + b"\0\0")
        elif marker in _TABLES or (marker == 0xE2 and body.startswith(b"ICC_PROFILE\0")) or _is_adobe(marker, body):
            kept.append(segment)
    if size is None or not scanned:
        raise BadPhoto("photo-broken")
    if upright != 1:
        exif = b"Exif\0\0" + _tiff(upright)
        first = 2 if len(kept) > 1 and kept[1].startswith(b"\xff\xe0") else 1
        kept.insert(first, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    return Clean("image/jpeg", b"".join([*kept, b"\xff\xd9"]), *size)


def _marker(data: bytes, at: int) -> tuple[int, int]:
    if data[at : at + 1] != b"\xff":
        raise BadPhoto("photo-broken")
    while data[at : at + 1] == b"\xff":  # any number of fill bytes may stand before a marker
        at += 1
    if at >= len(data):
        raise BadPhoto("photo-broken")
    return data[at], at + 1


def _scan_end(data: bytes, at: int) -> int:
    """Where the compressed data ends: at the next marker that is no restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise BadPhoto("photo-broken")
        following = data[at + 1]
        if following == 0xFF:
            at += 1
        elif following == 0x00 or following in _RESTARTS:
            at += 2
        else:
            return at


def _is_adobe(marker: int, body: bytes) -> bool:
    return marker == 0xEE and body.startswith(b"Adobe") and len(body) == 12


# EXIF: only which way is up.

_ORIENTATION = 0x0112


def _orientation(tiff: bytes) -> int | None:
    """1 … 8, or None where it is not said or makes no sense."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return None
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    if first + 2 > len(tiff):
        return None
    (entries,) = struct.unpack_from(f"{order}H", tiff, first)
    for n in range(min(entries, 200)):
        at = first + 2 + n * 12
        if at + 12 > len(tiff):
            return None
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, at)
        if tag == _ORIENTATION:
            return value if kind == 3 and count == 1 and 1 <= value <= 8 else None
    return None


def _tiff(upright: int) -> bytes:
    """An EXIF block that says nothing but which way is up."""
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", _ORIENTATION, 3, 1, upright, 0) + b"\0\0\0\0"


# PNG: chunks, each with its checksum.

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs"}
)


def _png(data: bytes) -> Clean:
    kept, at, size, seen = [_PNG], len(_PNG), None, False
    while True:
        length, name = _unpack(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise BadPhoto("photo-broken")
        body = data[at + 8 : at + 8 + length]
        if zlib.crc32(name + body) != _unpack(">I", data, end - 4)[0] or (size is None) != (name == b"IHDR"):
            raise BadPhoto("photo-broken")
        if name == b"IHDR":
            size = _unpack(">II", body, 0)
        if name == b"acTL":
            raise BadPhoto("photo-moving")
        seen = seen or name == b"IDAT"
        if name in _PNG_KEPT:
            kept.append(data[at:end])
        at = end
        if name == b"IEND":
            break
    if size is None or not seen:
        raise BadPhoto("photo-broken")
    return Clean("image/png", b"".join(kept), *size)


# WebP: chunks of a RIFF file.

_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ICCP"})
_ANIMATED, _XMP, _EXIF = 0x02, 0x04, 0x08


def _webp(data: bytes) -> Clean:
    extended: bytearray | None = None
    kept: list[bytes] = []
    size: tuple[int, int] | None = None
    upright = 1
    for name, body in _riff(data):
        if name in (b"ANIM", b"ANMF"):
            raise BadPhoto("photo-moving")
        if name == b"VP8X" and len(body) >= 10:
            if body[0] & _ANIMATED:
                raise BadPhoto("photo-moving")
            extended = bytearray(body[:10])
            extended[0] &= ~(_XMP | _EXIF) & 0xFF
        elif name == b"EXIF":
            upright = _orientation(body.removeprefix(b"Exif\0\0")) or upright
        elif name in _WEBP_KEPT:
            kept.append(_chunk(name, body))
            size = _webp_size(name, body) or size
    if size is None:
        raise BadPhoto("photo-broken")
    if extended is not None:
        size = (int.from_bytes(extended[4:7], "little") + 1, int.from_bytes(extended[7:10], "little") + 1)
        if upright != 1:
            extended[0] |= _EXIF
            kept.append(_chunk(b"EXIF", _tiff(upright)))
        kept.insert(0, _chunk(b"VP8X", bytes(extended)))
    body = b"WEBP" + b"".join(kept)
    return Clean("image/webp", b"RIFF" + struct.pack("<I", len(body)) + body, *size)


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    (whole,) = _unpack("<I", data, 4)
    end, at = whole + 8, 12
    if end > len(data):
        raise BadPhoto("photo-broken")
    while at + 8 <= end:
        name, length = _unpack("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        if len(body) != length or at + 8 + length > end:
            raise BadPhoto("photo-broken")
        yield name, body
        at += 8 + length + length % 2


def _webp_size(name: bytes, body: bytes) -> tuple[int, int] | None:
    if name == b"VP8 ":
        if body[3:6] != b"\x9d\x01\x2a":
            raise BadPhoto("photo-broken")
        width, height = _unpack("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L":
        if body[:1] != b"\x2f":
            raise BadPhoto("photo-broken")
        (bits,) = _unpack("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _unpack(form: str, data: bytes, at: int) -> tuple:  # type: ignore[type-arg]  # struct says nothing about types
    try:
        return struct.unpack_from(form, data, at)
    except struct.error:
        raise BadPhoto("photo-broken") from None
