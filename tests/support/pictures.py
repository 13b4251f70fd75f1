"""Small pictures with a place inside, as phones make them; built by hand, 16 × 8 pixels."""

from __future__ import annotations

import struct
import zlib

PLACE = b"GPS 22.5431N 114.0579E"


def _exif(upright: int) -> bytes:
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, upright, 0) + struct.pack(">HHII", 0x8825, 4, 1, 38)
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + b"\0\0\0\0" + PLACE


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg(upright: int = 6) -> bytes:
    """Segments as a camera writes them: JFIF, EXIF with a place, XMP, a comment, tables, a scan, and a film behind the end."""
    frame = struct.pack(">BHHB", 8, 8, 16, 1) + b"\x01\x11\x00"
    table = b"\0" + bytes(range(1, 65))
    codes = b"\0" + bytes((1, *(0,) * 15)) + b"\0"
    scan = _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            _segment(0xE1, b"Exif\0\0" + _exif(upright)),
            _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>" + PLACE),
            _segment(0xFE, PLACE),
            _segment(0xDB, table),
            _segment(0xC0, frame),
            _segment(0xC4, codes),
            scan,
            b"\xff\xd9",
            b"film " + PLACE,
        )
    )


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(shade: int = 0) -> bytes:
    rows = b"".join(b"\0" + bytes((shade,)) * 16 for _ in range(8))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 8, 8, 0, 0, 0, 0)),
            _chunk(b"tEXt", b"Location\0" + PLACE),
            _chunk(b"eXIf", _exif(1)),
            _chunk(b"IDAT", zlib.compress(rows)),
            _chunk(b"IEND", b""),
            PLACE,
        )
    )


def webp() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    lossless = b"\x2f" + struct.pack("<I", 15 | 7 << 14) + b"\x07\x10\x11"
    extended = bytes((0x0C, 0, 0, 0)) + (15).to_bytes(3, "little") + (7).to_bytes(3, "little")
    body = b"WEBP" + chunk(b"VP8X", extended) + chunk(b"VP8L", lossless)
    body += chunk(b"EXIF", _exif(6)) + chunk(b"XMP ", PLACE)
    return b"RIFF" + struct.pack("<I", len(body)) + body
