"""What the properties of Zigbee2MQTT mean. Not here: settings, counters of the radio, and `alarm`.

`alarm` is a boolean, a switch of the siren, an enumeration or a text, depending on the model: it never means fire.
Unlisted properties are not readings and are passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from hub.ingest.findings import Findings
from hub.ingest.values import short
from hub.model.readings import Event


class Kind(Enum):
    NUMBER = 1  # in the canonical unit
    SWITCH = 2  # true = the quantity is on
    INVERTED = 3  # true = the quantity is off
    RAW_NUMBER = 4  # kept under a name of its own: the hub has no such quantity
    RAW_SWITCH = 5


def _of(kind: Kind, **names: str) -> dict[str, tuple[str, Kind]]:
    return {name: (quantity, kind) for name, quantity in names.items()}


PLAIN: Final[dict[str, tuple[str, Kind]]] = {
    **_of(
        Kind.SWITCH,
        smoke="smoke", carbon_monoxide="co_alarm", water_leak="water_leak", tamper="tamper", tamper_alarm="tamper",
        battery_low="battery_low", test="test", mute="mute", silence="mute", temporary_mute="mute",
        occupancy="occupancy", presence="occupancy", sos="manual_call",
    ),
    # 128 of 131 definitions: contact true = closed
    **_of(Kind.INVERTED, contact="door_open"),
    **_of(
        Kind.NUMBER,
        battery="battery_pct", linkquality="linkquality", temperature="temperature_c", local_temperature="temperature_c",
        humidity="humidity_pct", illuminance="illuminance_lx", illuminance_lux="illuminance_lx",
        smoke_density="smoke_density", smoke_density_dbm="smoke_density_db_m", co="co_ppm", co2="co2_ppm",
        power="power_w", current="current_a", energy="energy_import_kwh", produced_energy="energy_export_kwh",
        ac_frequency="frequency_hz", power_apparent="apparent_power_va", power_reactive="reactive_power_var",
        leakage_current="residual_current_ma", mains_voltage="voltage_v",
        power_a="power_w_l1", power_b="power_w_l2", power_c="power_w_l3",
        current_a="current_a_l1", current_b="current_a_l2", current_c="current_a_l3",
        voltage_a="voltage_v_l1", voltage_b="voltage_v_l2", voltage_c="voltage_v_l3",
        power_phase_b="power_w_l2", power_phase_c="power_w_l3", current_phase_b="current_a_l2", current_phase_c="current_a_l3",
        voltage_phase_b="voltage_v_l2", voltage_phase_c="voltage_v_l3",
        power_l1="power_w_ch1", power_l2="power_w_ch2", power_l3="power_w_ch3",
        current_l1="current_a_ch1", current_l2="current_a_ch2", current_l3="current_a_ch3",
        voltage_l1="voltage_v_ch1", voltage_l2="voltage_v_ch2", voltage_l3="voltage_v_ch3",
    ),
    **_of(
        Kind.RAW_NUMBER,
        device_temperature="device_temperature_c", soil_moisture="soil_moisture_pct", pm25="pm25_ugm3", voc="voc",
        voc_index="voc_index", formaldehyd="formaldehyd",
    ),
    **_of(Kind.RAW_SWITCH, vibration="vibration", **{f"state_l{n}": f"relay_on_{n}" for n in range(1, 9)}),
}  # fmt: skip
"""Property → (quantity, kind), for properties whose meaning does not depend on the rest of the message."""

MAINS: Final = frozenset(("power", "current", "energy", "state", "power_factor", "ac_frequency"))
BATTERY: Final = frozenset(("battery", "battery_low"))
Special = Callable[[Any, dict[str, Any], int | None, Findings], None]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e15 else None
    try:
        return float(value) if isinstance(value, str) and len(value) <= 32 else None
    except ValueError:
        return None


def _voltage(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    """V on 304 definitions and mV on 297: battery devices give mV of the cell, mains devices V of the line."""
    number = _number(value)
    on_battery = bool(BATTERY & body.keys())
    if number is None:
        findings.take("battery_v" if on_battery else "voltage_v", value, at_ms, 0, key="voltage")
    elif number > 1_000 and (on_battery or not MAINS & body.keys()):
        findings.take("battery_v", number / 1_000, at_ms, 0, key="voltage")
    elif number > 1_000:
        findings.take("voltage_v", number / 1_000, at_ms, 0, key="voltage")
        findings.warnings.append(f"voltage {short(value)} taken as mV")
    elif on_battery and not MAINS & body.keys() and number <= 60:
        findings.take("battery_v", value, at_ms, 0, key="voltage")
    else:
        findings.take("voltage_v", value, at_ms, 0, key="voltage")


def _power_factor(quantity: str) -> Special:
    """Per cent on 18 of 39 definitions, a ratio on the others."""

    def put(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
        number = _number(value)
        if number is not None and abs(number) > 1:
            value = number / 100
        if quantity == "power_factor":
            findings.take(quantity, value, at_ms, 0)
        else:
            findings.keep(quantity, value, at_ms, 0)

    return put


def _gas(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    """An alarm on 26 definitions, m³ on 2, %LEL on 1: the type of the value tells."""
    number = _number(value)
    if number is None or isinstance(value, str):
        findings.take("gas_alarm", value, at_ms, 0, key="gas")
    elif {"alarm", "silence", "self_test", "preheat", "gas_state", "mute", "fault"} & body.keys():
        findings.take("gas_lel_pct", value, at_ms, 0, key="gas")
    else:
        findings.take("gas_m3", value, at_ms, 0, key="gas")


def _state(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    if value is None:
        findings.unknown.append("lock_state" if "lock_state" in body else "relay_on")
    elif value in ("ON", "OFF"):
        findings.take("relay_on", value == "ON", at_ms, 0)
    elif value in ("LOCK", "UNLOCK"):
        # `state` is what was commanded; lock_state, where there is one, is what the bolt says
        if body.get("lock_state") is None:
            findings.take("lock_state", value, at_ms, 0, key="state")
    elif value in ("OPEN", "CLOSE", "STOP"):
        findings.take("gate_state", value, at_ms, 0, key="state")
    elif isinstance(value, str):
        findings.keep("state", value[:40], at_ms, 0)


def _lock_state(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    if value is not None or body.get("state") not in ("LOCK", "UNLOCK"):
        findings.take("lock_state", value, at_ms, 0)


_DOOR_WORDS: Final = {"open": True, "closed": False, "error_forced_open": True, "door_open": True, "door_closed": False}


def _door_state(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    if isinstance(value, str):
        findings.take("door_open", _DOOR_WORDS.get(value), at_ms, 0, key="door_state")
        if value == "error_forced_open":
            findings.take("forced_open", True, at_ms, 0, key="door_state")
    elif value is None or isinstance(value, bool):
        findings.take("door_open", value, at_ms, 0, key="door_state")


def _words(quantity: str, words: dict[str, bool], instead_of: str) -> Special:
    """An enumeration that says the same as the boolean property `instead_of`, on models that lack that one."""

    def put(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
        if isinstance(body.get(instead_of), bool):
            return
        if isinstance(value, str) and value in words:
            findings.take(quantity, words[value], at_ms, 0, key=instead_of)
        elif value is None or value in ("unknown", "none"):
            findings.take(quantity, None, at_ms, 0)
        else:
            findings.take(quantity, value, at_ms, 0)

    return put


_ALARM_WORDS: Final = {"alarm": True, "normal": False, "clear": False, "detecting": False, "test": False}


def _gas_value(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    """%LEL on 4 of 5 definitions."""
    findings.take("gas_lel_pct", value, at_ms, 0, key="gas_value")


def _eco2(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    if "co2" not in body:
        findings.take("co2_ppm", value, at_ms, 0, key="eco2")


def _pressure(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    """hPa on 10 definitions, kPa on 26; only an air pressure can be told by its size."""
    number = _number(value)
    if number is not None and 80 <= number <= 110:
        findings.take("pressure_hpa", round(number * 10, 6), at_ms, 0, key="pressure")
    elif number is None or 300 <= number <= 1_200:
        findings.take("pressure_hpa", value, at_ms, 0, key="pressure")
    else:
        findings.keep("pressure", number, at_ms, 0)


def _self_test(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    """A boolean on 7 definitions; the words of the others tell of a result, not of a test going on."""
    if "test" not in body:
        if isinstance(value, bool) or value is None:
            findings.take("test", value, at_ms, 0, key="self_test")
        elif isinstance(value, str) and value.lower() in ("checking", "test", "testing"):
            findings.take("test", True, at_ms, 0, key="self_test")


def _water(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    """m³ on 3 definitions, litres on 4: without the definition the unit is not known."""
    findings.keep("water_consumed", value, at_ms, 0)


def _fault(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    if isinstance(value, bool) or value is None:
        findings.take("fault", value, at_ms, 0)
    elif isinstance(value, str):
        findings.take("fault", value.lower() not in ("", "clear", "none", "ok", "normal", "not_detected"), at_ms, 0)
    elif isinstance(value, int):
        findings.take("fault", value != 0, at_ms, 0)


def _action(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    if isinstance(value, str) and value:
        detail = {k: body[k] for k in ("action_source", "action_source_name") if isinstance(body.get(k), str | int)}
        findings.events.append(Event("action", detail={"action": value[:64], **detail}))


def _nothing(value: Any, body: dict[str, Any], at_ms: int | None, findings: Findings) -> None:
    """Read elsewhere (identity of the device)."""


SPECIAL: Final[dict[str, Special]] = {
    "voltage": _voltage,
    "power_factor": _power_factor("power_factor"),
    **{f"power_factor_{p}": _power_factor(f"power_factor_l{n}") for n, p in enumerate("abc", 1)},
    "power_factor_phase_b": _power_factor("power_factor_l2"),
    "power_factor_phase_c": _power_factor("power_factor_l3"),
    "gas": _gas,
    "gas_value": _gas_value,
    "gas_state": _words("gas_alarm", _ALARM_WORDS, "gas"),
    "smoke_state": _words("smoke", _ALARM_WORDS, "smoke"),
    "co_state": _words("co_alarm", _ALARM_WORDS, "carbon_monoxide"),
    "water_warning": _words("water_leak", {"alarm": True, "none": False}, "water_leak"),
    "state": _state,
    "lock_state": _lock_state,
    "door_state": _door_state,
    "eco2": _eco2,
    "pressure": _pressure,
    "self_test": _self_test,
    "water_consumed": _water,
    "fault": _fault,
    "action": _action,
    "device": _nothing,
}
"""Properties whose meaning depends on the value or on the rest of the message."""
