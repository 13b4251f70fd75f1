"""What the journal stores: records, and the chunks (groups of records) that they travel and rest in."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

MESSAGE, TICK = 0, 1
_CHUNK_BYTES = 4 << 20  # a larger group becomes several chunks of the same transaction


class Record(NamedTuple):
    """One journal entry. `kind` MESSAGE: an MQTT message as it came; TICK: time went on (topic and payload are empty)."""

    position: int
    kind: int
    at_ms: int
    topic: str
    payload: bytes
    retained: bool


class Chunk(NamedTuple):
    """A group of records as it is stored: `body` is the msgpack list of them, `crc` its CRC-32."""

    first: int
    records: int
    first_at_ms: int
    last_at_ms: int
    crc: int
    body: bytes


Row = tuple[int, int, int, str, bytes, bool]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Record]).decode


def encode(rows: Sequence[Row]) -> list[Chunk]:
    """The rows (fields of `Record`, positions dense and ascending) as chunks of bounded size."""
    try:
        body = _encode(rows)
    except UnicodeEncodeError:  # a topic that is not UTF-8: MQTT forbids it, but evidence is kept in any form
        clean = [(*r[:3], r[3].encode("utf-8", "backslashreplace").decode(), *r[4:]) for r in rows]
        return encode(clean)
    if len(body) > _CHUNK_BYTES and len(rows) > 1:
        half = len(rows) // 2
        return encode(rows[:half]) + encode(rows[half:])
    return [Chunk(rows[0][0], len(rows), rows[0][2], rows[-1][2], zlib.crc32(body), body)]


def decode(first: int, count: int, body: bytes) -> list[Record]:
    """The records of a chunk. Raises ValueError if they are not the `count` records from `first` on."""
    records = _decode(body)
    if len(records) != count or not records or records[0].position != first:
        raise ValueError("the chunk does not hold what its row promises")
    return records
