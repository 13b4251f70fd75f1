"""Zigbee2MQTT: JSON state per device, attribute topics, availability, the bridge's own state.

Facts about properties (names, units, inverted contact) are of the published device definitions. Zigbee2MQTT repeats cached
values with every report, so a level here is a level, never an edge, and values of one message need not be of one instant.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.zigbee2mqtt_exposes import in_usual_units, unusual_units
from hub.ingest.codecs.zigbee2mqtt_properties import BATTERY, MAINS, PLAIN, SPECIAL, Kind
from hub.ingest.findings import EDGE_ALARMS, Findings
from hub.ingest.instants import ABSENT, AHEAD_MS, EARLIEST_MS, Instant, instant
from hub.ingest.payload import (
    MAX_BYTES,
    STRICT_ERRORS,
    TOO_LARGE,
    Malformed,
    Parsed,
    is_small,
    parse_object,
    strict,
    text_of,
)
from hub.ingest.topics import Filter
from hub.ingest.values import SENTINELS, SUSPECT, short
from hub.model.quantities import ALARM_QUANTITY
from hub.model.readings import Decoded, Event, Quality, Reading, Reject

NAME: Final = "zigbee2mqtt"
_CLOCK: Final = int(Quality.CLOCK)
_REMEMBERED: Final = 32_768  # topics
_new: Final = tuple.__new__  # Reading(...) without the cost of its keyword handling
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\Z")
_ODD: Final = {name: SENTINELS.get(name, frozenset()) | SUSPECT.get(name, frozenset()) for name, _ in PLAIN.values()}


# What to do with one property of a message; the order is that of the tests in `_state`.
_NUMBER_STEP, _SWITCH_STEP, _INVERTED_STEP, _CELL_STEP, _LINE_STEP, _ON_OFF_STEP, _CAREFUL_STEP = range(7)
_STEPS: Final = {Kind.NUMBER: _NUMBER_STEP, Kind.SWITCH: _SWITCH_STEP, Kind.INVERTED: _INVERTED_STEP}
_Step = tuple[str, str, int, frozenset[float]]  # property, quantity, what to do, values to look at with care
_REMEMBERED_SHAPES: Final = 10_000
_BIG: Final = 10**15
_EVENTFUL: Final = frozenset(("test", *(ALARM_QUANTITY[alarm] for alarm in EDGE_ALARMS)))


class _Where(NamedTuple):
    """What a topic says: which device, and what kind of message comes on it."""

    device: str
    address: str
    part: str  # "" = state, "availability", "bridge", or why the topic is ignored
    attribute: str = ""  # the property, if this is an attribute topic; its payload is a bare value


class Zigbee2MqttCodec:
    """Decodes the topics below the base topic `root` (which may hold slashes). Never raises."""

    name = NAME

    def __init__(self, root: str = "zigbee2mqtt", context: CodecContext | None = None) -> None:
        self.root = root
        self._context = context or CodecContext()
        self._start = len(root) + 1
        self._where: dict[str, _Where] = {}
        self._plans: dict[tuple[str, ...], tuple[_Step, ...]] = {}
        self._units: dict[
            str, tuple[tuple[str, str], ...]
        ] = {}  # by device: properties whose unit is not the usual one

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        where = self._where.get(topic)
        if where is None:
            if not topic.startswith(self.root + "/") or len(topic) == self._start:
                return Reject(codec=NAME, reason="unknown topic", detail=f"not under {self.root}/")
            where = self._locate(topic, payload)
        if where.part:
            return self._other(where, payload)
        if where.attribute:
            return self._attribute(where, payload, received_at_ms)
        if not payload or not payload.strip():
            return (self._said(where, events=(Event("device_renamed_or_removed"),)),)
        warnings: tuple[str, ...] = ()
        body: Any = None
        if is_small(payload):
            try:
                body = strict(payload)
            except STRICT_ERRORS:
                pass
        if type(body) is not dict:
            parsed = parse_object(payload)
            if isinstance(parsed, Malformed):
                return self._reject(where, parsed.reason, parsed.detail)
            body, warnings = parsed
            if type(body) is not dict:
                return self._reject(where, "not an object", f"state of a device is {short(body)}")
        return self._state(where, body, warnings, received_at_ms)

    def _state(
        self, where: _Where, body: dict[str, Any], warnings: tuple[str, ...], received_at_ms: int
    ) -> tuple[Decoded, ...]:
        if self._units and (units := self._units.get(where.device)) is not None:
            body = in_usual_units(body, units)
        seen = body.get("last_seen")
        if type(seen) is int and EARLIEST_MS <= seen <= received_at_ms + AHEAD_MS:
            at = Instant(seen)
        else:
            at = ABSENT if seen is None else instant(seen, received_at_ms, self._context.zone)
        at_ms = at.at_ms
        quality = 0 if at_ms is not None else _CLOCK
        shape = tuple(body)
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plan(shape)
        readings: list[Reading] = []
        careful: list[tuple[str, Any]] = []
        eventful = False
        for name, quantity, step, odd in plan:
            value = body[name]
            fits = type(value)
            if step == _NUMBER_STEP:
                if (fits is float or fits is int) and -_BIG < value < _BIG and value not in odd:
                    readings.append(_new(Reading, (quantity, value, at_ms, quality, "", None)))
                    continue
            elif step == _SWITCH_STEP:
                if fits is bool:
                    readings.append(_new(Reading, (quantity, value, at_ms, quality, "", None)))
                    if value and quantity in _EVENTFUL:
                        eventful = True
                    continue
            elif step == _INVERTED_STEP:
                if fits is bool:
                    readings.append(_new(Reading, (quantity, not value, at_ms, quality, "", None)))
                    continue
            elif step == _CELL_STEP:
                if fits is int and 1_000 < value < 10_000:
                    readings.append(_new(Reading, (quantity, value / 1_000, at_ms, quality, "", None)))
                    continue
            elif step == _LINE_STEP:
                if (fits is int or fits is float) and 0 <= value <= 1_000:
                    readings.append(_new(Reading, (quantity, value, at_ms, quality, "", None)))
                    continue
            elif step == _ON_OFF_STEP and (value == "ON" or value == "OFF"):
                readings.append(_new(Reading, (quantity, value == "ON", at_ms, quality, "", None)))
                continue
            careful.append((name, value))
        if not careful and not eventful and not warnings and not at.warning:
            return (
                Decoded(
                    codec=NAME,
                    address=where.address,
                    device=where.device,
                    readings=tuple(readings),
                    observed_at_ms=at_ms,
                ),
            )
        findings = Findings()
        findings.readings = readings
        findings.warnings.extend(warnings)
        if at.warning:
            findings.warnings.append(at.warning)
        for name, value in careful:
            self._carefully(name, value, body, at_ms, findings)
        findings.name_alarms()
        return (
            self._said(
                where,
                readings=tuple(findings.readings),
                events=tuple(findings.events),
                unknown=tuple(findings.unknown),
                device_uid=_uid(body),
                info=_info(body),
                observed_at_ms=at_ms,
                ts_local=at.local,
                warnings=tuple(dict.fromkeys(findings.warnings)),
            ),
        )

    def _plan(self, shape: tuple[str, ...]) -> tuple[_Step, ...]:
        """How to read a message with these properties: devices repeat the same ones, so this is worked out once."""
        steps: list[_Step] = []
        on_mains, on_battery = not MAINS.isdisjoint(shape), not BATTERY.isdisjoint(shape)
        for name in shape:
            if name in PLAIN:
                quantity, kind = PLAIN[name]
                steps.append((name, quantity, _STEPS.get(kind, _CAREFUL_STEP), _ODD.get(quantity, frozenset())))
            elif name == "voltage" and on_battery and not on_mains:
                steps.append((name, "battery_v", _CELL_STEP, frozenset()))
            elif name == "voltage" and on_mains and not on_battery:
                steps.append((name, "voltage_v", _LINE_STEP, frozenset()))
            elif name == "state":
                steps.append((name, "relay_on", _ON_OFF_STEP, frozenset()))
            elif name in SPECIAL:
                steps.append((name, "", _CAREFUL_STEP, frozenset()))
        if len(self._plans) >= _REMEMBERED_SHAPES:
            self._plans.clear()
        if len(shape) <= 100:
            self._plans[shape] = tuple(steps)
        return tuple(steps)

    def _carefully(self, name: str, value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
        special = SPECIAL.get(name)
        if special is not None:
            special(value, body, at_ms, findings)
            return
        quantity, kind = PLAIN[name]
        if kind is Kind.INVERTED:
            before = len(findings.readings)
            findings.take(quantity, value, at_ms, 0, key=name)
            for n in range(before, len(findings.readings)):
                findings.readings[n] = findings.readings[n]._replace(value=not findings.readings[n].value)
        elif kind is Kind.RAW_NUMBER:
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
                findings.keep(quantity, value, at_ms, 0)
        elif kind is Kind.RAW_SWITCH:
            if value is None or isinstance(value, bool) or value in ("ON", "OFF"):
                findings.keep(quantity, value == "ON" if isinstance(value, str) else value, at_ms, 0)
        else:
            findings.take(quantity, value, at_ms, 0, key=name)

    def _attribute(self, where: _Where, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        """One property as a bare value (`advanced.output: attribute`)."""
        if len(payload) > MAX_BYTES:
            return self._reject(where, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if not payload.strip():
            return (self._said(where, ignored="retained clear"),)
        if len(payload) > 1_024:
            return (self._said(where, ignored=f"long value of {where.attribute}"),)
        text, warning = text_of(payload)
        text = text.strip()
        if where.attribute == "last_seen":
            at = instant(text, received_at_ms, self._context.zone)
            return (
                self._said(
                    where,
                    observed_at_ms=at.at_ms,
                    ts_local=at.local,
                    warnings=tuple(w for w in (warning, at.warning) if w),
                ),
            )
        if where.attribute not in PLAIN and where.attribute not in SPECIAL:
            return (self._said(where, ignored=f"{short(where.attribute)} is not a reading"),)
        said = self._state(where, {where.attribute: _bare(text)}, (warning,) if warning else (), received_at_ms)
        if any(event.type == "alarm_unclear" for event in said[0].events) and not _NUMBER.match(text):
            # A bare word has no closing bracket: what is no word of an alarm can be a part of one, cut off.
            return self._reject(where, "bad value", f"{where.attribute} is {short(text)}")
        return said

    def _other(self, where: _Where, payload: bytes) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES and where.part in ("availability", "bridge"):
            return self._reject(where, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if where.part == "bridge message 'devices'" and len(payload) <= MAX_BYTES:
            self._units |= dict(list(unusual_units(payload).items())[: max(0, _REMEMBERED - len(self._units))])
        if where.part == "bridge event":
            return (self._said(where, ignored=where.part, events=_bridge_events(payload)),)
        if where.part not in ("availability", "bridge"):
            return (self._said(where, ignored=where.part),)
        if not payload.strip():
            return (self._said(where, ignored="retained clear"),)
        state = _online(payload)
        if state is None:
            return self._reject(where, "bad availability", short(payload[:60].decode("utf-8", "replace")))
        return (
            self._said(
                where,
                availability=state,
                cascade=where.part == "bridge" and not state,
                retained_state=True,
            ),
        )

    def _locate(self, topic: str, payload: bytes) -> _Where:
        """Names may hold slashes: what the registry knows decides, else the form of the message."""
        rest = topic[self._start :]
        last = rest.rsplit("/", 1)[-1]
        stem = rest[: -len(last) - 1]
        keep = True
        if rest == "bridge/state":
            where = _Where(f"{self.root}/bridge", f"{NAME}:{self.root}/bridge", "bridge")
        elif rest.startswith("bridge/"):
            where = self._device(
                "bridge", "bridge event" if rest == "bridge/event" else f"bridge message {short(rest[7:])}"
            )
            where = where._replace(device=f"{self.root}/bridge")
        elif self._context.known(f"{NAME}:{self.root}/{rest}") or not stem:
            where = self._device(rest)
        elif last == "availability":
            where = self._device(stem, "availability")
        elif last in ("set", "get") or "/set/" in rest or "/get/" in rest:
            where = self._device(re.split(r"/(?:set|get)(?:/|\Z)", rest, maxsplit=1)[0], "command")
        elif self._context.known(f"{NAME}:{self.root}/{stem}"):
            where = self._device(stem, "", last)
        else:
            is_attribute = payload.strip()[:1] not in (b"{", b"") or (last in PLAIN and payload.strip()[:1] != b"{")
            keep = bool(payload.strip())
            where = self._device(stem, "", last) if is_attribute else self._device(rest)
        if len(self._where) >= _REMEMBERED:
            self._where.clear()
        if keep and len(topic) <= 512:
            self._where[topic] = where
        return where

    def _device(self, device: str, part: str = "", attribute: str = "") -> _Where:
        return _Where(device, f"{NAME}:{self.root}/{device}", part, attribute)

    def _said(self, where: _Where, **said: Any) -> Decoded:
        return Decoded(codec=NAME, address=where.address, device=where.device, **said)

    def _reject(self, where: _Where, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=where.device, address=where.address)


def _bare(text: str) -> Any:
    """The value of an attribute topic as JSON would have it."""
    if text in ("true", "false"):
        return text == "true"
    if text in ("null", ""):
        return None
    if _NUMBER.match(text) and len(text) <= 64:
        return float(text) if any(c in text for c in ".eE") else int(text)
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return text


def _online(payload: bytes) -> bool | None:
    """{"state":"online"} or plain online, as before 1.28."""
    if len(payload) > 1_024:
        return None
    word: Any = text_of(payload)[0].strip()
    if word[:1] in ("{", '"'):
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return None
        word = parsed.value.get("state") if isinstance(parsed.value, dict) else parsed.value
    return {"online": True, "offline": False}.get(word) if isinstance(word, str) else None


def _bridge_events(payload: bytes) -> tuple[Event, ...]:
    """What the bridge tells of its network, for people: a device joined, left, announced itself."""
    parsed = parse_object(payload) if len(payload) <= 65_536 else None
    if not isinstance(parsed, Parsed) or not isinstance(parsed.value, dict):
        return ()
    kind, data = parsed.value.get("type"), parsed.value.get("data")
    if not isinstance(kind, str):
        return ()
    names = ("friendly_name", "ieee_address", "status", "from", "to")
    detail = {k: v[:128] for k in names if isinstance(data, dict) and isinstance(v := data.get(k), str)}
    return (Event(kind[:64], detail=detail or None),)


def _uid(body: dict[str, Any]) -> str:
    device = body.get("device")
    if not isinstance(device, dict):
        return ""
    uid = device.get("ieeeAddr") or device.get("ieee_address")
    return uid[:64] if isinstance(uid, str) else ""


def _info(body: dict[str, Any]) -> dict[str, Any] | None:
    device = body.get("device")
    if not isinstance(device, dict):
        return None
    names = (("model", "modelId"), ("model", "model"), ("vendor", "manufName"), ("vendor", "manufacturerName"),
             ("firmware", "softwareBuildID"))  # fmt: skip
    return {name: device[key] for name, key in names if isinstance(device.get(key), str)} or None


def filters(root: str) -> tuple[Filter, ...]:
    """Everything below the base: Zigbee2MQTT has no topic of its own for alarms."""
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    """The base topic: up to the level "zigbee2mqtt", or up to "bridge", else the first level."""
    levels = topic.split("/")
    for n, level in enumerate(levels[:-1]):
        if level == "zigbee2mqtt":
            return "/".join(levels[: n + 1])
        if level == "bridge" and n:
            return "/".join(levels[:n])
    return levels[0]
