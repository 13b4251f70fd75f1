"""Wiren Board: one control per topic, its type and unit in `/meta`, its trouble in `/meta/error` while the last good value stays."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import Malformed, parse_object, text_of
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import named, quantity_for_unit, short
from hub.model.readings import Decoded, Reject

NAME: Final = "wirenboard"
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\Z")
_LONG: Final = 4_096
_MOST: Final = 20_000
_TYPES: Final = {
    "temperature": ("temperature_c", "°C"), "rel_humidity": ("humidity_pct", "%"), "atmospheric_pressure": ("pressure_hpa", "mbar"),
    "power": ("power_w", "W"), "voltage": ("voltage_v", "V"), "current": ("current_a", "A"), "power_consumption": ("energy_import_kwh", "kWh"),
    "lux": ("illuminance_lx", "lx"), "water_consumption": ("water_m3", "m3"), "water_flow": ("flow_m3_h", "m3/h"), "concentration": ("co2_ppm", "ppm"),
    "switch": ("relay_on", ""),
}  # fmt: skip
_PHASE: Final = re.compile(r"\bL([123])\b")
# how names of the maker's modules begin (lower case) → quantity
_NAMES: Final = (
    ("total ap energy", "energy_import_kwh"), ("ap energy", "energy_import_kwh"), ("total rap energy", "energy_export_kwh"), ("total p", "power_w"),
    ("p l", "power_w"), ("urms", "voltage_v"), ("u l", "voltage_v"), ("irms", "current_a"), ("i l", "current_a"), ("frequency", "frequency_hz"),
    ("total s", "apparent_power_va"), ("s l", "apparent_power_va"), ("total q", "reactive_power_var"), ("q l", "reactive_power_var"),
    ("total pf", "power_factor"), ("pf l", "power_factor"), ("internal temperature", "device_temperature_c"), ("external sensor", "temperature_c"),
    ("air quality", "air_quality"), ("co2", "co2_ppm"), ("sound level", "sound_db"), ("supply voltage", "supply_voltage_v"), ("mcu", "device_temperature_c"),
    ("illuminance", "illuminance_lx"), ("leakage", "water_leak"), ("leak", "water_leak"), ("smoke", "smoke"), ("motion", "motion"),
)  # fmt: skip


class WirenBoardCodec:
    """Decodes `{root}/<device>/controls/<control>[/meta…]`. Never raises. Remembers types; one owner thread."""

    name = NAME

    def __init__(self, root: str = "/devices", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()
        self._meta: dict[str, dict[str, str]] = {}

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        levels = topic[len(self.root) + 1 :].split("/") if topic.startswith(self.root + "/") else []
        if len(levels) < 2 or not levels[0] or (levels[1] == "controls" and len(levels) < 3):
            return Reject(codec=NAME, reason="unknown topic", detail=f"no device below {self.root}/")
        saying = Saying(NAME, levels[0], levels[0], received_at_ms)
        if len(payload) > 256 * 1024:
            return Reject(
                codec=NAME, reason="payload too large", detail=f"{len(payload)} bytes", address=saying.address
            )
        if levels[1] == "meta":
            if levels[2:] == ["error"]:
                text = _text(payload)
                return (
                    (saying.decoded(availability=False, cascade=True),)
                    if "r" in text
                    else (saying.decoded(ignored="no error"),)
                )
            return (saying.decoded(ignored="description of the device"),)
        if levels[1] != "controls":
            return Reject(
                codec=NAME, reason="unknown topic", detail=f"level {short(levels[1])}", address=saying.address
            )
        control, rest = levels[2], levels[3:]
        if rest[:1] == ["on"]:
            return (saying.decoded(ignored="command"),)
        if rest[:1] == ["meta"]:
            return self._about(control, rest[1:], payload, saying)
        if rest:
            return Reject(codec=NAME, reason="unknown topic", detail=f"level {short(rest[0])}", address=saying.address)
        return self._value(control, payload, saying)

    def _about(self, control: str, rest: list[str], payload: bytes, saying: Saying) -> tuple[Decoded, ...] | Reject:
        place = f"{saying.device}/{control}"
        if rest == ["error"]:
            flags = _text(payload)
            name = self._quantity(place, control, None)[0]
            if "r" in flags:  # could not be read: the value on the topic is an old one
                saying.unknown(name or control)
                return (saying.decoded(),)
            return (saying.decoded(ignored="no error in reading"),)
        said: dict[str, str] = {}
        if not rest and payload.strip():
            parsed = parse_object(payload)
            if isinstance(parsed, Malformed) or not isinstance(parsed.value, dict):
                reason, detail = parsed if isinstance(parsed, Malformed) else ("not an object", short(parsed.value))
                return Reject(
                    codec=NAME, reason=reason, detail=str(detail), device=saying.device, address=saying.address
                )
            for key, name in (("type", "type"), ("units", "unit")):
                if isinstance(parsed.value.get(key), str):
                    said[name] = parsed.value[key][:40]
            error = parsed.value.get("error")
            if isinstance(error, str) and "r" in error:
                saying.unknown(self._quantity(place, control, None)[0] or control)
        elif rest == ["type"] or rest == ["units"]:
            said["type" if rest == ["type"] else "unit"] = _text(payload)[:40]
        if not said:
            return (saying.decoded(ignored="description of a control"),)
        if len(self._meta) >= _MOST:
            self._meta.clear()
        self._meta[place] = {**self._meta.get(place, {}), **said}
        return (saying.decoded(info={"meta": {control: said}}),)

    def _quantity(self, place: str, control: str, value: Any) -> tuple[str, str]:
        """The quantity of a control: by its type, its unit, its name."""
        meta = self._meta.get(place, {})
        phase = _PHASE.search(control)
        suffix = f"_l{phase[1]}" if phase is not None else ""
        kind, unit = meta.get("type", ""), meta.get("unit", "")
        lower = control.lower()
        known = named(control)
        if kind == "alarm":
            return (known[0] if known else "", "")
        by_name = next((name for start, name in _NAMES if lower.startswith(start)), "")
        if kind in _TYPES and kind != "switch":
            name, usual = _TYPES[kind]
            if by_name.endswith(name.rpartition("_")[2]) and by_name:
                name = by_name
            return name + suffix, unit or usual
        if kind == "switch":
            channel = re.fullmatch(r"K(\d{1,2})", control)
            return (
                f"relay_on_{channel[1]}"
                if channel
                else known[0]
                if known and known[0] != "power_w"
                else "relay_on"
                if lower in ("relay", "enabled", "on")
                else ""
            ), ""
        if unit and isinstance(value, int | float):
            found = quantity_for_unit(unit, lower.replace(" ", "_"))
            if found:
                return found + suffix, unit
        if by_name:
            return by_name + suffix, unit
        channel = re.fullmatch(r"K(\d{1,2})", control)
        if channel:
            return f"relay_on_{channel[1]}", ""
        return known if known is not None else ("", "")

    def _value(self, control: str, payload: bytes, saying: Saying) -> tuple[Decoded, ...] | Reject:
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        if len(payload) > _LONG:
            return (saying.decoded(ignored="long text"),)
        text = _text(payload)
        value: Any = text
        if _NUMBER.match(text) and len(text) <= 40:
            value = float(text) if any(c in text for c in ".eE") else int(text)
        name, unit = self._quantity(f"{saying.device}/{control}", control, value)
        if name.startswith("relay_on_") and value in (0, 1):
            value = bool(value)
        saying.put(name or control[:100], value, unit=unit if name else "", key=control)
        if any(event.type == "alarm_unclear" for event in saying.findings.events):
            return Reject(
                codec=NAME,
                reason="bad value",
                detail=f"{short(control)} is {short(text)}",
                device=saying.device,
                address=saying.address,
            )
        return (saying.decoded(retained_state=True),)


def _text(payload: bytes) -> str:
    return text_of(payload[:_LONG])[0].strip().strip("\0")


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/+/controls/#"), Filter(f"{root}/+/meta/#"))


def root_of(topic: str) -> str:
    at = topic.find("/devices/")
    return topic[: at + len("/devices")] if at >= 0 else "/devices"
