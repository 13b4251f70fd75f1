"""Binary messages of a profile: bytes → an object of its fields, or why they are none."""

from __future__ import annotations

import struct
from typing import Any, Final

from hub.ingest.mapping.schema import Binary, FieldSpec

_FORMATS: Final = {
    "u8": "B", "i8": "b", "u16be": ">H", "u16le": "<H", "i16be": ">h", "i16le": "<h", "u32be": ">I", "u32le": "<I",
    "i32be": ">i", "i32le": "<i", "u64be": ">Q", "u64le": "<Q", "f32be": ">f", "f32le": "<f", "f64be": ">d", "f64le": "<d",
}  # fmt: skip
_TEXTS: Final = {"ascii": "ascii", "gbk": "gb18030", "utf8": "utf-8"}


def read_binary(payload: bytes, form: Binary) -> dict[str, Any] | str:
    """The fields of `payload`; text when it does not keep to `form`: then nothing of it is believed."""
    size = len(payload)
    if form.length is not None and size != form.length:
        return f"{size} bytes, expected {form.length}"
    if size < form.least:
        return f"{size} bytes, expected at least {form.least}"
    if size > 65_536:
        return f"{size} bytes, at most 65536"
    if form.starts and not payload.startswith(bytes.fromhex(form.starts)):
        return f"does not begin with {form.starts}"
    if form.checksum and not _checks(payload, form):
        return f"wrong {form.checksum}"
    found: dict[str, Any] = {}
    for name, spec in form.fields.items():
        value = _field(payload, spec)
        if value is None:
            if spec.optional:
                continue
            return f"ends before the field {name}"
        found[name] = value
    return found


def _field(payload: bytes, spec: FieldSpec) -> Any:
    width = spec.size or (3 if spec.type.startswith("u24") else struct.calcsize(_FORMATS.get(spec.type, "B")))
    start = spec.at if spec.at >= 0 else len(payload) + spec.at
    raw = payload[start : start + width] if start >= 0 else b""
    if len(raw) != width:
        return None
    if spec.type in ("hex", "bcd"):
        return raw.hex()
    if spec.type in _TEXTS:
        return raw.rstrip(b"\0 ").decode(_TEXTS[spec.type], "replace")
    if spec.type.startswith("u24"):
        value: Any = int.from_bytes(raw, "big" if spec.type.endswith("be") else "little")
    else:
        value = struct.unpack(_FORMATS[spec.type], raw)[0]
    if isinstance(value, int) and (spec.mask is not None or spec.shift):
        value = (value & (spec.mask if spec.mask is not None else -1)) >> spec.shift
    return value


def _checks(payload: bytes, form: Binary) -> bool:
    at = form.checksum_at if form.checksum_at >= 0 else len(payload) + form.checksum_at
    body = payload[form.checksum_from : max(at, 0)]
    if form.checksum == "crc16-modbus":
        return payload[at : at + 2] == _crc16(body).to_bytes(2, "little")
    if not 0 <= at < len(payload):
        return False
    total = 0
    for byte in body:
        total = total ^ byte if form.checksum == "xor8" else total + byte
    return payload[at] == total & 0xFF


def _crc16(body: bytes) -> int:
    value = 0xFFFF
    for byte in body[:4_096]:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value
