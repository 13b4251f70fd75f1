"""Milesight devices' own bytes (LoRaWAN FRMPayload): channel, type and value in a row; and the smoke detectors' six bytes.

Topics: `{root}/{model}/{device}` with the bytes, for gateways that forward them as they are. The network servers' codecs use
`decode_bytes` for devices that have no decoder there.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.lorawan_objects import put_history, put_object
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.model.readings import Decoded, Reject

NAME: Final = "milesight-raw"
_MOST_BYTES: Final = 256
_EVENTS: Final = {1: "alarm", 2: "silent", 4: "low battery", 5: "failover", 7: "normal", 10: "removed", 11: "installed",
                  14: "testing alarm with normal battery", 15: "testing alarm with low battery"}  # fmt: skip
# type → (key, format, factor)
_TYPES: Final[dict[int, tuple[str, str, float]]] = {
    0x75: ("battery", "<B", 1), 0x67: ("temperature", "<h", 0.1), 0x68: ("humidity", "<B", 0.5), 0x73: ("pressure", "<H", 0.1),
    0x74: ("voltage", "<H", 0.1), 0x7D: ("co2", "<H", 1), 0x80: ("active_power", "<I", 1), 0x81: ("power_factor", "<B", 1),
    0x82: ("distance", "<H", 1), 0x83: ("power_consumption", "<I", 1), 0x97: ("total_current", "<I", 0.01), 0x98: ("current", "<H", 0.01),
    0xC9: ("current", "<H", 1), 0x94: ("illumination", "<I", 1), 0xCB: ("light_level", "<B", 1), 0xC8: ("pulse", "<I", 1),
}  # fmt: skip
# type → (key, word by value)
_STATES: Final[dict[int, tuple[str, dict[int, str]]]] = {
    0x70: ("socket_status", {0: "off", 1: "on"}),
    0x8E: ("occupancy", {0: "vacant", 1: "occupied"}),
}
_INFORMATION: Final = {
    0x01: 1,
    0x09: 2,
    0x0A: 2,
    0x0B: 1,
    0x0F: 1,
    0x16: 8,
    0x18: 1,
    0xFE: 1,
    0xFF: 2,
    0x24: 1,
    0x25: 2,
    0x26: 1,
    0x3F: 1,
}


def decode_bytes(data: bytes, model: str = "") -> dict[str, Any] | str:
    """`data` as the object that the maker's decoder gives; text when it is no such frame: then nothing of it is believed."""
    model = model.upper()
    if not data or len(data) > _MOST_BYTES:
        return f"{len(data)} bytes, expected 1 to {_MOST_BYTES}"
    if model.startswith(("GS524", "GS534")) or (
        not model and len(data) == 6 and data[1] >> 4 == 1 and sum(data) & 0xFF == 0
    ):
        return _smoke(data)
    found: dict[str, Any] = {}
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            return "ends inside a channel"
        channel, kind = data[at], data[at + 1]
        at += 2
        size = _one(channel, kind, data[at:], model, found)
        if isinstance(size, str):
            return size
        at += size
    return found


def _one(channel: int, kind: int, rest: bytes, model: str, found: dict[str, Any]) -> int | str:
    """Reads one value into `found`; how many bytes it took, or why it cannot be read."""
    if channel == 0xFF:
        size = _INFORMATION.get(kind)
        return "unknown information" if size is None else size if len(rest) >= size else "ends inside a value"
    if kind == 0xCE and channel in (0x20, 0x21):
        return _history(rest, model, found)
    if channel in (0x84, 0x04) and kind == 0x98 and channel == 0x84:
        return _current_alarm(rest, found)
    if kind == 0x00:
        return _contact(channel, rest, model, found)
    if kind in _STATES:
        key, words = _STATES[kind]
        if not rest:
            return "ends inside a value"
        if key == "occupancy" and channel == 0x04:
            return 1  # calibration
        found[key] = words.get(rest[0], f"value {rest[0]}")
        return 1
    known = _TYPES.get(kind)
    if known is None:
        return f"channel {channel:#04x} of type {kind:#04x} is not known"
    key, form, factor = known
    size = struct.calcsize(form)
    if len(rest) < size:
        return "ends inside a value"
    value = struct.unpack(form, rest[:size])[0]
    if kind in (0x98, 0x67) and value in (0xFFFF, -1) and rest[:2] == b"\xff\xff":
        found[f"{key}_sensor_status"] = "read failed"
        return size
    found[key] = value if factor == 1 else round(value * factor, 6)
    return size


def _contact(channel: int, rest: bytes, model: str, found: dict[str, Any]) -> int | str:
    """The one-byte switches, whose channel depends on the model."""
    if not rest:
        return "ends inside a value"
    value = rest[0]
    if model.startswith("WS301") or (not model and channel in (3, 4)):
        key, words = (
            ("magnet_status", ("close", "open")) if channel == 3 else ("tamper_status", ("installed", "uninstalled"))
        )
    elif channel == 5:
        key, words = "leakage_status", ("normal", "leak")
    elif channel in (3, 6):
        key, words = "magnet_status", ("close", "open")
    elif channel == 4:
        key, words = "tamper_status", ("installed", "uninstalled")
    else:
        key, words = f"digital_{channel}", ("off", "on")
    found[key] = words[value] if value < 2 else f"value {value}"
    return 1


def _history(rest: bytes, model: str, found: dict[str, Any]) -> int | str:
    size = 13 if "-DI" in model else 7 if "-TH" in model else 8
    if len(rest) < size:
        return "ends inside a stored point"
    at, temperature, humidity = struct.unpack("<IhB", rest[:7])
    point: dict[str, Any] = {"timestamp": at, "temperature": temperature / 10, "humidity": humidity / 2}
    if size == 13:
        point["pulse"] = struct.unpack("<I", rest[9:13])[0]
    elif size == 8 and "MCS" in model:
        point["magnet_status"] = "open" if rest[7] else "close"
    elif size == 8 and ("ZLD" in model or "SLD" in model):
        point["leakage_status"] = "leak" if rest[7] else "normal"
    found.setdefault("history", []).append(point)
    return size


def _current_alarm(rest: bytes, found: dict[str, Any]) -> int | str:
    if len(rest) < 7:
        return "ends inside a value"
    high, low, now, flags = struct.unpack("<HHHB", rest[:7])
    names = (
        "current_threshold_alarm",
        "current_threshold_alarm_release",
        "current_over_range_alarm",
        "current_over_range_alarm_release",
    )
    found |= {"current_max": high / 100, "current_min": low / 100, "current": now / 100}
    found["current_alarm"] = {name: "yes" if flags >> n & 1 else "no" for n, name in enumerate(names)}
    return 7


def _smoke(data: bytes) -> dict[str, Any] | str:
    if len(data) != 6:
        return f"{len(data)} bytes, expected 6"
    if sum(data) & 0xFF:
        return "wrong checksum"
    temperature = data[4] - 256 if data[4] > 127 else data[4]
    event = _EVENTS.get(data[1] & 0x0F, f"message type {data[1] & 0x0F}")
    return {"battery": data[2], "concentration": data[3], "temperature": temperature, "event": event}


class MilesightRawCodec:
    """Decodes bytes on `{root}/{model}/{device}`. Never raises."""

    name = NAME

    def __init__(self, root: str, context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        model, device = self._place(topic)
        if not device:
            return Reject(codec=NAME, reason="unknown topic", detail=f"expected {self.root}/<model>/<device>")
        saying = Saying(NAME, device, device, received_at_ms, self._context.zone)
        if len(payload) > 256 * 1024:
            return Reject(codec=NAME, reason="payload too large", detail=f"{len(payload)} bytes")
        if not payload:
            return (saying.decoded(ignored="retained clear"),)
        found = decode_bytes(payload, model)
        if isinstance(found, str):
            return Reject(codec=NAME, reason="bad binary message", detail=found, device=device, address=saying.address)
        put_history(found.pop("history", None), saying, model)
        put_object(found, saying, model)
        return (saying.decoded(),)

    def _place(self, topic: str) -> tuple[str, str]:
        if not topic.startswith(self.root + "/"):
            return ("", "")
        levels = topic[len(self.root) + 1 :].split("/")
        return (levels[0], levels[-1]) if len(levels) > 1 else ("", levels[0])


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    return topic.split("/")[0]
