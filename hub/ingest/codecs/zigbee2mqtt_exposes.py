"""What `bridge/devices` tells of units: only where they differ from what names and values look like."""

from __future__ import annotations

from typing import Any, Final

from hub.ingest.payload import Malformed, parse_object

_MOST_DEVICES: Final = 2_000
_MOST_EXPOSES: Final = 500
# property → unit as exposed → what is to be done with its values
_UNUSUAL: Final[dict[str, dict[str, str]]] = {
    "voltage": {"mV": "mV", "V": "V"},
    "current": {"mA": "mA"},
    "power": {"kW": "kW"},
    "power_factor": {"%": "%"},
    "illuminance": {"%": "drop"},
    "energy": {"Wh": "Wh"},
    "pressure": {"kPa": "kPa"},
    "gas_value": {"%": "drop", "ppm": "drop"},
    "co2": {"%": "drop"},
}
_FACTORS: Final = {"mV": 1e-3, "mA": 1e-3, "kW": 1e3, "%": 1e-2, "Wh": 1e-3, "kPa": 10.0}


def unusual_units(payload: bytes) -> dict[str, tuple[tuple[str, str], ...]]:
    """Friendly name → (property, what to do) for the devices that need it. Empty when the list is not readable."""
    parsed = parse_object(payload)
    if isinstance(parsed, Malformed) or not isinstance(parsed.value, list):
        return {}
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for device in parsed.value[:_MOST_DEVICES]:
        definition = device.get("definition") if isinstance(device, dict) else None
        name = device.get("friendly_name") if isinstance(device, dict) else None
        exposes = definition.get("exposes") if isinstance(definition, dict) else None
        if not isinstance(name, str) or not isinstance(exposes, list):
            continue
        units = {
            one["property"]: one["unit"]
            for one in _flat(exposes)
            if isinstance(one.get("property"), str) and isinstance(one.get("unit"), str)
        }
        on_battery = any(one.get("property") in ("battery", "battery_low") for one in _flat(exposes))
        unusual = []
        for key, unit in units.items():
            what = _UNUSUAL.get(key, {}).get(unit)
            # the looks are right: a cell in mV, a line in V
            if what is None or (key == "voltage" and on_battery == (unit == "mV")):
                continue
            unusual.append((key, what))
        if unusual:
            found[name] = tuple(unusual)
    return found


def _flat(exposes: list[Any]) -> list[dict[str, Any]]:
    """Features of a switch or a lock stand inside it."""
    found: list[dict[str, Any]] = []
    for one in exposes[:_MOST_EXPOSES]:
        if isinstance(one, dict):
            found.append(one)
            inner = one.get("features")
            if isinstance(inner, list):
                found += [feature for feature in inner[:_MOST_EXPOSES] if isinstance(feature, dict)]
    return found


def in_usual_units(body: dict[str, Any], units: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """`body` with the values of `units` as the properties are usually sent."""
    changed = dict(body)
    for key, what in units:
        value = changed.get(key)
        if key not in changed or isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12:
            continue
        if what == "drop":  # a share of something: no quantity of ours
            del changed[key]
        elif what == "V":  # of a cell: said in millivolts elsewhere
            changed[key] = round(value * 1_000)
        elif what == "%":
            changed[key] = round(value / 100, 6) if abs(value) <= 100 else value
        else:
            changed[key] = round(value * _FACTORS[what], 9)
    return changed
