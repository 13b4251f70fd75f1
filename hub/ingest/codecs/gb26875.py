"""GB/T 26875.3 frames of fire-alarm transmission units, as bytes: over MQTT by a forwarder, or handed in by the TCP listener.

`40 40 · serial(2, low byte first) · version(2) · second minute hour day month year · source(6) · destination(6) · length(2) ·
command · body · sum · 23 23`. Addresses travel low byte first. A part's status has one bit per state; bit 0 clear is test mode.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hub.ingest.codecs.context import CodecContext
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.model.readings import Decoded, Reject

NAME: Final = "gb26875.3"
_LEAST: Final = 30
_MOST_BODY: Final = 1_024
COMMANDS: Final = {1: "control", 2: "data", 3: "acknowledgement", 4: "request", 5: "answer", 6: "refusal"}
_PART_SIZE: Final = 46  # system type, system address, part type, part address, status, text, time
_SYSTEM_SIZE: Final = 10
_PART_BITS: Final = {1: ("fire", "smoke"), 2: ("fault", "fault"), 3: ("shielded", ""), 4: ("supervised", ""), 5: ("started", ""),
                     6: ("feedback", ""), 7: ("delayed", ""), 8: ("power_fault", "")}  # fmt: skip
_SYSTEM_BITS: Final = {1: ("fire", "smoke"), 2: ("fault", "fault"), 3: ("shielded", ""), 4: ("supervised", ""), 5: ("started", ""),
                       6: ("feedback", ""), 7: ("delayed", ""), 8: ("main_power_fault", ""), 9: ("standby_power_fault", ""),
                       10: ("bus_fault", ""), 11: ("manual", ""), 12: ("configuration_changed", ""), 13: ("reset", "")}  # fmt: skip
_TESTED: Final = frozenset(("fire", "fault"))
_DEVICE_BITS: Final = {1: ("fire", "smoke"), 2: ("fault", "fault"), 3: ("main_power_fault", ""), 4: ("standby_power_fault", ""),
                       5: ("link_fault", ""), 6: ("line_fault", "")}  # fmt: skip
HEAT_PARTS: Final = frozenset((16, 17, 18, 30, 31, 32, 33, 34, 35, 36, 37))  # heat detectors, electrical fire monitors
GAS_PARTS: Final = frozenset((10, 11, 12, 13, 74))  # detectors of combustible gas
CALL_POINTS: Final = frozenset((23, 24))  # manual call points, hydrant buttons


class Frame(NamedTuple):
    """A frame whose checksum holds."""

    serial: int
    version: tuple[int, int]
    at: str  # wall clock of the unit, "" = not set
    source: str
    destination: str
    command: int
    body: bytes


def read_frame(data: bytes) -> Frame | str:
    """`data` as one whole frame; text when it is none: then nothing of it is believed."""
    if len(data) < _LEAST:
        return f"{len(data)} bytes, expected at least {_LEAST}"
    if not data.startswith(b"@@") or not data.endswith(b"##"):
        return "does not begin with 40 40 or end with 23 23"
    size = int.from_bytes(data[24:26], "little")
    if size > _MOST_BODY or len(data) != _LEAST + size:
        return f"says {size} bytes of data, has {len(data) - _LEAST}"
    if sum(data[2:-3]) & 0xFF != data[-3]:
        return "wrong checksum"
    return Frame(
        serial=int.from_bytes(data[2:4], "little"),
        version=(data[4], data[5]),
        at=wall_clock(data[6:12]),
        source=data[12:18][::-1].hex(),
        destination=data[18:24][::-1].hex(),
        command=data[26],
        body=data[27:-3],
    )


def wall_clock(six: bytes) -> str:
    """Second, minute, hour, day, month, year as a wall clock; "" when they are no time."""
    second, minute, hour, day, month, year = six
    if second > 59 or minute > 59 or hour > 23 or not 1 <= day <= 31 or not 1 <= month <= 12 or year > 99:
        return ""
    return f"20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"


def acknowledgement(frame: Frame, at: bytes, *, accepted: bool = True) -> bytes:
    """The answer that the unit waits for: same serial number and version, addresses turned round, no data. `at`: six bytes of time."""
    body = b"".join((
        frame.serial.to_bytes(2, "little"), bytes(frame.version), at, bytes.fromhex(frame.destination)[::-1],
        bytes.fromhex(frame.source)[::-1], b"\0\0", bytes((3 if accepted else 6,)),
    ))  # fmt: skip
    return b"@@" + body + bytes((sum(body) & 0xFF,)) + b"##"


class Gb26875Codec:
    """Decodes frames on `{root}/…`; whatever the topic is, the frame names the unit. Never raises."""

    name = NAME

    def __init__(self, root: str = "gb26875", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if self.root and topic != self.root and not topic.startswith(self.root + "/"):
            return Reject(codec=NAME, reason="unknown topic", detail=f"not under {self.root}/")
        if len(payload) > 256 * 1024:
            return Reject(codec=NAME, reason="payload too large", detail=f"{len(payload)} bytes")
        frame = read_frame(payload)
        if isinstance(frame, str):
            return Reject(codec=NAME, reason="bad frame", detail=frame)
        unit = self._saying(frame.source, frame.source, received_at_ms)
        unit.at = unit.instant(frame.at) if frame.at else unit.at
        unit.fields["seq"] = frame.serial
        if frame.command != 2:
            return (unit.decoded(ignored=COMMANDS.get(frame.command, f"command {frame.command}")),)
        return self._data(frame, unit, received_at_ms)

    def _data(self, frame: Frame, unit: Saying, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        body = frame.body
        if len(body) < 2:
            return self._reject(unit, "data without type and count")
        kind, count, rest = body[0], body[1], body[2:]
        said: list[Decoded] = []
        if kind == 2:
            if len(rest) != count * _PART_SIZE:
                return self._reject(unit, f"{count} parts need {count * _PART_SIZE} bytes, has {len(rest)}")
            said = [
                self._part(frame, rest[n * _PART_SIZE : (n + 1) * _PART_SIZE], received_at_ms) for n in range(count)
            ]
        elif kind == 1:
            if len(rest) != count * _SYSTEM_SIZE:
                return self._reject(unit, f"{count} systems need {count * _SYSTEM_SIZE} bytes, has {len(rest)}")
            said = [
                self._system(frame, rest[n * _SYSTEM_SIZE : (n + 1) * _SYSTEM_SIZE], received_at_ms)
                for n in range(count)
            ]
        elif kind == 21:
            if len(rest) != count * 7:
                return self._reject(unit, f"{count} states need {count * 7} bytes, has {len(rest)}")
            for n in range(count):
                one = rest[n * 7 : n * 7 + 7]
                own = self._saying(frame.source, frame.source, received_at_ms)
                self._bits(one[0], _DEVICE_BITS, own, test=not one[0] & 1, part_type=0, text="")
                own.at = own.instant(wall_clock(one[1:7]) or frame.at or None)
                said.append(own.decoded(name_alarms=False, seq=frame.serial))
        else:
            names = {3: "analogue values", 4: "operation", 24: "operation of the unit", 28: "time of the unit"}
            if kind == 3 and len(rest) == count * 16:
                return tuple(
                    self._analogue(frame, rest[n * 16 : n * 16 + 16], received_at_ms) for n in range(count)
                ) or (unit.decoded(ignored="no values"),)
            return (unit.decoded(ignored=names.get(kind, f"data of type {kind}"), availability=True),)
        return tuple(said) or self._reject(unit, "no object in the data")

    def _part(self, frame: Frame, one: bytes, received_at_ms: int) -> Decoded:
        system_type, system, part_type, address = one[0], one[1], one[2], one[3:7][::-1].hex()
        status = int.from_bytes(one[7:9], "little")
        text = one[9:40].split(b"\0", 1)[0].decode("gb18030", "replace").strip()
        own = self._saying(f"{frame.source}/{system}/{address}", frame.source, received_at_ms)
        own.at = own.instant(wall_clock(one[40:46]) or frame.at or None)
        own.fields["gateway"] = frame.source
        own.fields["info"] = {
            "part": {"system_type": system_type, "system_addr": system, "part_type": part_type, "part_addr": address},
            "text": text,
        }
        self._bits(status, _PART_BITS, own, test=not status & 1, part_type=part_type, text=text)
        return own.decoded(name_alarms=False, seq=frame.serial)

    def _system(self, frame: Frame, one: bytes, received_at_ms: int) -> Decoded:
        own = self._saying(f"{frame.source}/{one[1]}", frame.source, received_at_ms)
        status = int.from_bytes(one[2:4], "little")
        own.at = own.instant(wall_clock(one[4:10]) or frame.at or None)
        own.fields["gateway"] = frame.source
        own.fields["info"] = {"part": {"system_type": one[0], "system_addr": one[1]}}
        self._bits(status, _SYSTEM_BITS, own, test=not status & 1, part_type=0, text="")
        return own.decoded(name_alarms=False, seq=frame.serial)

    def _analogue(self, frame: Frame, one: bytes, received_at_ms: int) -> Decoded:
        """Measured values of parts, by their kind."""
        own = self._saying(f"{frame.source}/{one[1]}/{one[3:7][::-1].hex()}", frame.source, received_at_ms)
        own.at = own.instant(wall_clock(one[10:16]) or frame.at or None)
        own.fields["gateway"] = frame.source
        value = int.from_bytes(one[8:10], "little", signed=True)
        name, factor, unit = {2: ("water_level_m", 0.01, ""), 3: ("temperature_c", 0.1, ""), 4: ("water_pressure_kpa", 100.0, ""), 5: ("water_pressure_kpa", 0.1, ""),
                              6: ("gas_lel_pct", 0.1, ""), 10: ("voltage_v", 0.1, ""), 11: ("current_a", 0.1, ""), 12: ("flow_l_s", 0.1, "")}.get(one[7], (f"analogue_{one[7]}", 1.0, ""))  # fmt: skip
        own.put(name, round(value * factor, 6), unit=unit)
        return own.decoded(seq=frame.serial)

    def _bits(
        self, status: int, bits: dict[int, tuple[str, str]], saying: Saying, *, test: bool, part_type: int, text: str
    ) -> None:
        at_ms = saying.at.at_ms
        if test:
            saying.put("test", True, at_ms=at_ms)
        detail: dict[str, Any] = {"text": text} if text else {}
        for bit, (name, quantity) in bits.items():
            on = bool(status >> bit & 1)
            if name == "fire":
                quantity = self._quantity(part_type)
            if quantity:
                saying.put(quantity, on, key=name, at_ms=at_ms)
            elif on:
                saying.put(name, True, at_ms=at_ms)
            if on and name in _TESTED:
                saying.event("alarm", detail, alarm=name, active=True, test=test or None)
        if test:
            saying.findings.mark_tested()

    @staticmethod
    def _quantity(part_type: int) -> str:
        if part_type in HEAT_PARTS:
            return "heat_alarm"
        if part_type in GAS_PARTS:
            return "gas_alarm"
        return "manual_call" if part_type in CALL_POINTS else "smoke"

    def _saying(self, identity: str, device: str, received_at_ms: int) -> Saying:
        return Saying(NAME, identity, device, received_at_ms, self._context.zone)

    def _reject(self, saying: Saying, detail: str) -> Reject:
        return Reject(codec=NAME, reason="bad frame", detail=detail, device=saying.device, address=saying.address)


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    return "" if topic.startswith("(") else topic.split("/")[0]
