"""Speaks as Zigbee2MQTT does: one bridge per base topic, one JSON state per device under its friendly name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from devices.simulators.publisher import Message
from devices.simulators.speaking import Node, Spoken, Value, Values, message

VERSION = "2.12.1"


@dataclass(frozen=True, slots=True)
class Property:
    """How Zigbee2MQTT names a quantity and writes its value."""

    name: str
    expose: dict[str, Any]
    write: Callable[[Value], Value] = lambda value: value


def _binary(name: str, on: Value = True, off: Value = False, **more: Any) -> Property:
    expose = {"type": "binary", "value_on": on, "value_off": off, **more}
    return Property(name, expose, lambda value: on if value else off)


def _numeric(name: str, unit: str) -> Property:
    return Property(name, {"type": "numeric", "unit": unit})


PROPERTIES: dict[str, Property] = {
    "smoke": _binary("smoke"),
    "smoke_density_db_m": _numeric("smoke_density_dbm", "dB/m"),
    "gas_alarm": _binary("gas"),
    "gas_lel_pct": _numeric("gas_value", "%LEL"),
    "co_alarm": _binary("carbon_monoxide"),
    "co_ppm": _numeric("co", "ppm"),
    "water_leak": _binary("water_leak"),
    "tamper": _binary("tamper"),
    "battery_low": _binary("battery_low"),
    "battery_pct": _numeric("battery", "%"),
    "temperature_c": _numeric("temperature", "°C"),
    "humidity_pct": _numeric("humidity", "%"),
    "illuminance_lx": _numeric("illuminance", "lx"),
    "door_open": _binary("contact", on=False, off=True),  # contact:true means closed
    "relay_on": _binary("state", on="ON", off="OFF"),
    "power_w": _numeric("power", "W"),
    "current_a": _numeric("current", "A"),
    "voltage_v": _numeric("voltage", "V"),
    "energy_import_kwh": _numeric("energy", "kWh"),
    "lock_state": Property(
        "state",
        {"type": "binary", "value_on": "LOCK", "value_off": "UNLOCK"},
        lambda value: "LOCK" if value == "locked" else "UNLOCK",
    ),
}
"""Canonical quantity → Zigbee2MQTT property. What is not here, a Zigbee device of ours cannot say."""


class Zigbee2Mqtt:
    """Devices of one or several bridges; `bases` are the base topics, which may hold slashes."""

    codec = "zigbee2mqtt"

    def __init__(self, bases: Sequence[str] = ("zigbee2mqtt",)) -> None:
        self.bases = sorted(bases, key=len, reverse=True)

    def locate(self, address: str) -> tuple[str, str]:
        for base in self.bases:
            if address.startswith(f"{base}/"):
                return base, address[len(base) + 1 :]
        raise ValueError(f"Zigbee2MQTT address {address!r} is under none of the base topics {', '.join(self.bases)}")

    def will(self, node: Node) -> Message:
        return message(f"{node.name}/bridge/state", {"state": "offline"}, node, retain=True)

    def greet(self, node: Node, devices: Sequence[Spoken], stamp_ms: int) -> list[Message]:
        said = self.beat(node, stamp_ms)
        said.append(message(f"{node.name}/bridge/info", {"version": VERSION, "log_level": "info"}, node, retain=True))
        listed = [_listed(spoken) for spoken in devices]
        said.append(message(f"{node.name}/bridge/devices", listed, node, retain=True))
        said += [self._available(spoken, "online") for spoken in devices]
        return said

    def report(self, spoken: Spoken, fast: Values, slow: Values, stamp_ms: int) -> list[Message]:
        body: dict[str, Value] = {}
        for values in (slow, fast):
            for quantity, value in values.items():
                known = PROPERTIES.get(quantity)
                if known is not None:
                    body[known.name] = known.write(value)
        if not body:
            return []
        body["linkquality"] = 60 + int(_ieee(spoken)[-2:], 16) // 2
        body["last_seen"] = stamp_ms
        return [message(f"{spoken.node.name}/{spoken.name}", body, spoken.node)]

    def messages_per_report(self, fast: bool, slow: bool) -> int:
        return int(fast or slow)

    def edge(self, spoken: Spoken, changed: Sequence[str], fast: Values, slow: Values, stamp_ms: int) -> list[Message]:
        # Zigbee2MQTT has no events: it repeats the whole cached state with each change.
        return self.report(spoken, fast, slow, stamp_ms) if any(q in PROPERTIES for q in changed) else []

    def beat(self, node: Node, stamp_ms: int) -> list[Message]:
        return [message(f"{node.name}/bridge/state", {"state": "online"}, node, retain=True)]

    def leave(self, node: Node, devices: Sequence[Spoken], stamp_ms: int) -> list[Message]:
        return [self.will(node)]

    def _available(self, spoken: Spoken, state: str) -> Message:
        return message(f"{spoken.node.name}/{spoken.name}/availability", {"state": state}, spoken.node, retain=True)


def _ieee(spoken: Spoken) -> str:
    return "0x" + hashlib.blake2b(spoken.device.id.encode(), digest_size=8).hexdigest()


def _listed(spoken: Spoken) -> dict[str, Any]:
    exposes = [
        {"name": known.name, "property": known.name, "access": 1, **known.expose}
        for quantity in spoken.quantities
        if (known := PROPERTIES.get(quantity)) is not None
    ]
    return {
        "ieee_address": _ieee(spoken),
        "type": "EndDevice",
        "supported": True,
        "friendly_name": spoken.name,
        "definition": {
            "model": spoken.device.model or spoken.device.kind,
            "vendor": "GridHub simulator",
            "description": spoken.device.kind,
            "exposes": exposes,
        },
    }
