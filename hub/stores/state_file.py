"""One file that is replaced whole: written beside, synced, renamed; read back only if its checksum holds."""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

_MAGIC = b"GHS1"


def write(path: Path, body: bytes) -> None:
    """Replaces `path` by `body`, all or nothing, even through a power cut. Raises OSError when there is no room."""
    beside = path.with_suffix(path.suffix + ".new")
    try:
        with beside.open("wb") as file:
            file.write(_MAGIC + crc32(body).to_bytes(4, "little") + body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def read(path: Path) -> bytes | None:
    """The body that `write` put there; None if there is none. Raises ValueError when the file is damaged."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    body = raw[8:]
    if raw[:4] != _MAGIC or int.from_bytes(raw[4:8], "little") != crc32(body):
        raise ValueError(f"{path} is damaged")
    return body
