"""A minimal reader of the Sparkplug B payload: protobuf's wire format, and the fields that carry metrics.

Field numbers are of the public specification. Nothing is completed: a message that ends inside a field is malformed.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

MOST_METRICS: Final = 2_000
_MOST_FIELDS: Final = 4_000
# data types of the specification
_SIGNED: Final = {1: 8, 2: 16, 3: 32, 4: 64}
TEMPLATE: Final = 19
_BOOLEAN: Final = 11


class Malformed(Exception):
    """The bytes are no payload."""


class Metric(NamedTuple):
    """One metric. `value` None with `null` False: of a kind that is not read (data sets, templates, bytes)."""

    name: str = ""
    alias: int | None = None
    timestamp: int | None = None
    datatype: int = 0
    historical: bool = False
    transient: bool = False
    null: bool = False
    value: Any = None
    field: int = 0


class Payload(NamedTuple):
    timestamp: int | None
    seq: int | None
    metrics: tuple[Metric, ...]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("ends inside a number")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def _fields(data: bytes) -> list[tuple[int, int, Any]]:
    """(field number, wire type, value) in a row."""
    found: list[tuple[int, int, Any]] = []
    at, size = 0, len(data)
    while at < size:
        if len(found) >= _MOST_FIELDS:
            raise Malformed("too many fields")
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise Malformed("field number 0")
        if wire == 0:
            value: Any
            value, at = _varint(data, at)
        elif wire == 1 or wire == 5:
            width = 8 if wire == 1 else 4
            value = data[at : at + width]
            at += width
            if len(value) != width:
                raise Malformed("ends inside a number")
        elif wire == 2:
            length, at = _varint(data, at)
            value = data[at : at + length]
            at += length
            if len(value) != length:
                raise Malformed("ends inside a field")
        else:
            raise Malformed(f"wire type {wire}")
        found.append((number, wire, value))
    return found


def read_payload(data: bytes) -> Payload:
    """`data` as a payload. Raises Malformed."""
    timestamp = seq = None
    metrics: list[Metric] = []
    for number, wire, value in _fields(data):
        if number == 1 and wire == 0:
            timestamp = value
        elif number == 2 and wire == 2:
            if len(metrics) >= MOST_METRICS:
                raise Malformed(f"more than {MOST_METRICS} metrics")
            metrics.append(_metric(value))
        elif number == 3 and wire == 0:
            seq = value
        elif number in (1, 2, 3):
            raise Malformed(f"field {number} has wire type {wire}")
    return Payload(timestamp, seq, tuple(metrics))


def _metric(data: bytes) -> Metric:
    found: dict[str, Any] = {}
    for number, wire, value in _fields(data):
        if number == 1 and wire == 2:
            try:
                found["name"] = value.decode("utf-8")[:256]
            except UnicodeDecodeError as bad:
                raise Malformed("a name is not UTF-8") from bad
        elif number in _PLAIN and wire == 0:
            name = _PLAIN[number]
            found[name] = bool(value) if name in ("historical", "transient", "null") else value
        elif number in (10, 11, 14) and wire == 0:
            found["value"], found["field"] = (bool(value) if number == 14 else value), number
        elif number == 12 and wire == 5:
            found["value"], found["field"] = struct.unpack("<f", value)[0], number
        elif number == 13 and wire == 1:
            found["value"], found["field"] = struct.unpack("<d", value)[0], number
        elif number == 15 and wire == 2:
            found["value"], found["field"] = value.decode("utf-8", "replace")[:1_000], number
        elif 10 <= number <= 15:
            raise Malformed(f"value of field {number} has wire type {wire}")
    return Metric(**found)


_PLAIN: Final = {2: "alias", 3: "timestamp", 4: "datatype", 5: "historical", 6: "transient", 7: "null"}


def value_of(metric: Metric, datatype: int) -> Any:
    """The value by its type: signed integers travel as unsigned ones, and float32 is shortened to what was meant."""
    value = metric.value
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if metric.field in (10, 11):
        bits = _SIGNED.get(datatype)
        if bits:
            value &= (1 << bits) - 1
            return value - (1 << bits) if value >= 1 << (bits - 1) else value
        if datatype == _BOOLEAN:
            return bool(value)
    if metric.field == 12 and value == value and abs(value) != float("inf"):
        return float(f"{value:.7g}")
    return value
