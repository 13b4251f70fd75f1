"""Foreign values → canonical ones: units, number texts, words for states, sentinel values, common names. All knowledge is data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from hub.model.quantities import QUANTITIES, Quantity

Scalar = float | int | bool | str | None


class Verdict(Enum):
    """What a value may be besides a value."""

    UNCLEAR = "unclear"  # neither on nor off: must be shown, must not be silence
    UNFIT = "unfit"  # no value of this quantity at all


# unit as written (lower case, no blanks) → (canonical unit, factor, offset): canonical = given * factor + offset
UNITS: Final[Mapping[str, tuple[str, float, float]]] = {
    "°c": ("°C", 1, 0), "℃": ("°C", 1, 0), "c": ("°C", 1, 0), "cel": ("°C", 1, 0), "celsius": ("°C", 1, 0),
    "degc": ("°C", 1, 0), "celcius": ("°C", 1, 0), "ºc": ("°C", 1, 0), "度": ("°C", 1, 0),
    "°f": ("°C", 5 / 9, -160 / 9), "℉": ("°C", 5 / 9, -160 / 9), "f": ("°C", 5 / 9, -160 / 9),
    "degf": ("°C", 5 / 9, -160 / 9), "fahrenheit": ("°C", 5 / 9, -160 / 9), "ºf": ("°C", 5 / 9, -160 / 9),
    "k": ("°C", 1, -273.15), "kelvin": ("°C", 1, -273.15),
    "%": ("%", 1, 0), "%rh": ("%", 1, 0), "%el": ("%", 1, 0), "rh": ("%", 1, 0), "pct": ("%", 1, 0), "percent": ("%", 1, 0),
    "/": ("", 1, 0), "1": ("", 1, 0), "": ("", 1, 0),
    "%lel": ("%LEL", 1, 0), "lel": ("%LEL", 1, 0), "lel%": ("%LEL", 1, 0),
    "w": ("W", 1, 0), "watt": ("W", 1, 0), "watts": ("W", 1, 0), "kw": ("W", 1e3, 0), "mw": ("W", 1e-3, 0),
    "va": ("VA", 1, 0), "kva": ("VA", 1e3, 0), "var": ("var", 1, 0), "kvar": ("var", 1e3, 0),
    "v": ("V", 1, 0), "volt": ("V", 1, 0), "volts": ("V", 1, 0), "mv": ("V", 1e-3, 0), "kv": ("V", 1e3, 0),
    "a": ("A", 1, 0), "amp": ("A", 1, 0), "amps": ("A", 1, 0), "ma": ("A", 1e-3, 0),
    "kwh": ("kWh", 1, 0), "wh": ("kWh", 1e-3, 0), "mwh": ("kWh", 1e3, 0), "j": ("kWh", 1 / 3.6e6, 0),
    "kj": ("kWh", 1 / 3.6e3, 0), "mj": ("kWh", 1 / 3.6, 0), "度电": ("kWh", 1, 0),
    "hz": ("Hz", 1, 0), "khz": ("Hz", 1e3, 0),
    "ppm": ("ppm", 1, 0), "ppb": ("ppm", 1e-3, 0),
    "lx": ("lx", 1, 0), "lux": ("lx", 1, 0), "klx": ("lx", 1e3, 0),
    "dbm": ("dBm", 1, 0), "db": ("dB", 1, 0), "db/m": ("dB/m", 1, 0),
    "m3": ("m³", 1, 0), "m³": ("m³", 1, 0), "l": ("m³", 1e-3, 0), "liter": ("m³", 1e-3, 0), "litre": ("m³", 1e-3, 0),
    "m3/h": ("m³/h", 1, 0), "m³/h": ("m³/h", 1, 0), "m3/s": ("m³/h", 3_600, 0), "l/s": ("m³/h", 3.6, 0),
    "l/min": ("m³/h", 0.06, 0), "l/h": ("m³/h", 1e-3, 0),
    "hpa": ("hPa", 1, 0), "mbar": ("hPa", 1, 0), "pa": ("hPa", 1e-2, 0), "kpa": ("hPa", 10, 0), "bar": ("hPa", 1e3, 0),
    "mpa": ("hPa", 1e4, 0), "psi": ("hPa", 68.947573, 0),
    "m": ("m", 1, 0), "cm": ("m", 1e-2, 0), "mm": ("m", 1e-3, 0), "km": ("m", 1e3, 0),
    "s": ("s", 1, 0), "sec": ("s", 1, 0), "min": ("s", 60, 0), "h": ("s", 3_600, 0), "ms": ("s", 1e-3, 0),
}  # fmt: skip
_SAME_DIMENSION: Final = {("A", "mA"): 1e3, ("hPa", "kPa"): 0.1}

# Case tells milli from mega: only these are read with their case.
_CASED: Final = {"MW": ("W", 1e6, 0.0), "mW": ("W", 1e-3, 0.0), "MWh": ("kWh", 1e3, 0.0), "mWh": ("kWh", 1e-6, 0.0),
                 "MJ": ("kWh", 1 / 3.6, 0.0), "mPa": ("hPa", 1e-5, 0.0), "MPa": ("hPa", 1e4, 0.0)}  # fmt: skip

SENTINELS: Final[Mapping[str, frozenset[float]]] = {
    "temperature_c": frozenset((-127.0, -273.15, -999.0, 999.0, -9999.0, 9999.0, 327.67, -327.68, 3276.7, -3276.8, 6553.5, 65535.0, 32767.0, -32768.0, 255.0)),
    "cable_temperature_c": frozenset((-127.0, 999.0, -999.0, 3276.7, 6553.5)),
    "cell_temperature_c": frozenset((-127.0, 999.0, -999.0, 3276.7, 6553.5)),
    "humidity_pct": frozenset((255.0, 999.0, -999.0, 655.35, 6553.5, 65535.0, 127.0, -1.0, 9999.0)),
    "battery_pct": frozenset((255.0, 127.5, 999.0, -1.0, 65535.0)),
    "battery_v": frozenset((65.535, 25.5, 6.5535, 999.0)),
    "co_ppm": frozenset((65535.0, -1.0, 9999.0)), "co2_ppm": frozenset((65535.0, -1.0)),
    "gas_lel_pct": frozenset((255.0, -1.0, 65535.0)), "illuminance_lx": frozenset((-1.0,)),
    "rssi_dbm": frozenset((127.0, 999.0)),
}  # fmt: skip
"""Values by which sensors say "no value": unknown, with a warning."""

SUSPECT: Final[Mapping[str, frozenset[float]]] = {
    name: frozenset((85.0,)) for name in ("temperature_c", "cable_temperature_c", "cell_temperature_c")
}
"""Error values that can also be true: 85 °C is the DS18B20's power-on value, and a fire passes 85 °C. Kept and flagged."""

_ON: Final = frozenset(("true", "on", "1", "yes", "y", "alarm", "alarmed", "active", "activated", "detected", "triggered",
                        "fire", "smoke", "leak", "wet", "present", "occupied", "open", "opened", "low", "报警", "火警", "是", "开"))  # fmt: skip
_OFF: Final = frozenset(("false", "off", "0", "no", "n", "normal", "clear", "cleared", "idle", "inactive", "ok", "safe", "dry",
                         "not_detected", "absent", "closed", "close", "high", "正常", "否", "关"))  # fmt: skip
NOTHING: Final = frozenset(("unknown", "unavailable", "n/a", "na", "none", "null", "nil", "nan", "", "-", "--", "undefined", "invalid", "error", "err"))  # fmt: skip
"""Texts by which devices say that they have no value."""

STATE_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "lock_state": {"lock": "locked", "unlock": "unlocked", "not_fully_locked": "unlocked", "secured": "locked",
                   "unsecured": "unlocked", "open": "unlocked", "true": "locked", "false": "unlocked", "1": "locked", "0": "unlocked",
                   "motor_blocked": "jammed", "blocked": "jammed"},
    "gate_state": {"close": "closed", "opened": "open", "stop": "stopped", "blocked": "fault", "jammed": "fault", "error": "fault",
                   "true": "open", "false": "closed"},
    "lock_wanted": {"lock": "locked", "unlock": "unlocked", "open": "unlocked", "true": "locked", "false": "unlocked"},
    "gate_wanted": {"close": "closed", "opened": "open", "true": "open", "false": "closed"},
    "charger_state": {"idle": "available", "free": "available", "ready": "available", "standby": "available", "busy": "charging",
                      "complete": "finished", "completed": "finished", "done": "finished", "full": "finished", "paused": "suspended",
                      "suspendedev": "suspended", "suspendedevse": "suspended", "finishing": "finished", "fault": "faulted",
                      "error": "faulted", "offline": "unavailable", "disabled": "unavailable", "reserved": "unavailable"},
    "access_result": {"grant": "granted", "allow": "granted", "allowed": "granted", "ok": "granted", "success": "granted",
                      "true": "granted", "deny": "denied", "refused": "denied", "rejected": "denied", "fail": "denied",
                      "failed": "denied", "false": "denied"},
}  # fmt: skip

_SPLIT: Final = re.compile(r"\s*([+-]?(?:\d[\d ]*(?:[.,]\d+)*|[.,]\d+)(?:[eE][+-]?\d{1,3})?)\s*(.*)\Z", re.DOTALL)
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+\Z|[+-]?\d{1,3}(?:,\d{3}){2,}\Z")


def short(value: Any) -> str:
    """`value` for a warning: one line of at most 40 characters."""
    text = value if isinstance(value, str) else repr(value) if isinstance(value, bool | float) else str(value)[:60]
    return repr(text if len(text) <= 40 else text[:39] + "…") if isinstance(value, str) else text[:40]


def unit_of(text: str) -> tuple[str, float, float] | None:
    """The canonical unit, factor and offset of a unit as written, or None when it is not known."""
    plain = text.strip().replace(" ", "")
    return _CASED.get(plain) or UNITS.get(plain.lower())


def converted(quantity: Quantity, number: float | int, unit: str) -> float | int | None:
    """`number` of `unit` in the unit of `quantity`; None when the unit belongs to something else or is not known."""
    if unit == quantity.unit:
        return number
    found = unit_of(unit)
    if found is None:
        return None
    base, factor, offset = found
    if base != quantity.unit:
        extra = _SAME_DIMENSION.get((base, quantity.unit))
        if extra is None:
            # a plain ratio where per cent are wanted, and the reverse
            if (base, quantity.unit) == ("", "%"):
                return number * 100
            return number / 100 if (base, quantity.unit) == ("%", "") else None
        factor *= extra
    return number if factor == 1 and offset == 0 else round(number * factor + offset, 9)


def number_in(text: str, key: str, warnings: list[str]) -> tuple[float | int, str] | None:
    """The number and the unit written in `text`; None when it has none. Decimal commas and units are noted."""
    found = _SPLIT.match(text) if len(text) <= 64 else None
    if found is None:
        return None
    digits, unit = found[1].replace(" ", ""), found[2].strip()
    if len(unit) > 12 or any(c.isdigit() for c in unit.replace("m3", "")):
        return None
    if "," in digits:
        if _GROUPED.match(digits):
            digits = digits.replace(",", "")
        elif digits.count(",") == 1 and "." not in digits:
            if re.search(r"[1-9]\d{0,2},\d{3}\Z", digits):
                warnings.append(f"{key}: {short(text)} could be thousands or a decimal comma: not guessed")
                return None
            digits = digits.replace(",", ".")
            warnings.append(f"{key}: decimal comma in {short(text)}")
        else:
            return None
    if digits.count(".") > 1:
        return None
    if unit:
        warnings.append(f"{key}: unit inside string {short(text)}")
    try:
        value = float(digits)
    except ValueError:
        return None
    return (int(digits) if digits.lstrip("+-").isdigit() and len(digits) < 19 else value), unit


def canonical(quantity: Quantity, value: Any, unit: str, key: str, warnings: list[str]) -> Scalar | Verdict:
    """`value` as a value of `quantity`: None = unknown, or a Verdict. Every liberty is appended to `warnings`."""
    if value is None:
        return None
    if isinstance(value, str) and value.strip().lower() in NOTHING:
        warnings.append(f"{key}: {short(value)} means no value")
        return None
    if quantity.kind == "switch":
        return _switched(value, key, warnings)
    if quantity.kind == "state":
        return _stated(quantity, value, key, warnings)
    return _measured(quantity, value, unit, key, warnings)


def _switched(value: Any, key: str, warnings: list[str]) -> bool | Verdict | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if value != value:
            return None
        if value in (0, 1):
            return bool(value)
    elif isinstance(value, str):
        word = value.strip().lower()
        if word in _ON or word in _OFF:
            return word in _ON
    warnings.append(f"{key} {short(value)} is neither boolean nor a stated level")
    return Verdict.UNCLEAR


def _stated(quantity: Quantity, value: Any, key: str, warnings: list[str]) -> str | Verdict | None:
    word = str(value).strip().lower() if isinstance(value, str | bool | int) else ""
    word = STATE_WORDS.get(quantity.name, {}).get(word, word)
    if word in quantity.states:
        return word
    warnings.append(f"{key} {short(value)} is none of {', '.join(quantity.states)}")
    return Verdict.UNCLEAR


def _measured(quantity: Quantity, value: Any, unit: str, key: str, warnings: list[str]) -> float | int | Verdict | None:
    number: float | int
    if isinstance(value, bool):
        warnings.append(f"{key} is {str(value).lower()}, expected a number")
        return Verdict.UNFIT
    if isinstance(value, str):
        found = number_in(value, key, warnings)
        if found is None:
            warnings.append(f"{key} {short(value)} is not a number")
            return Verdict.UNFIT
        number, unit = found[0], found[1] or unit
    elif isinstance(value, int | float):
        number = value
    else:
        warnings.append(f"{key} is not a number")
        return Verdict.UNFIT
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        warnings.append(f"{key}: integer beyond 64 bits")
        if abs(number) > 10**300:
            return None
        number = float(number)
    if number != number or number in (float("inf"), float("-inf")):
        warnings.append(f"{key}: {number} is not a finite number")
        return None
    if unit:
        fit = converted(quantity, number, unit)
        if fit is None:
            warnings.append(
                f"{key}: unit {short(unit)} does not fit {quantity.name}, taken as {quantity.unit or 'plain'}"
            )
        else:
            number = fit
    if number in SENTINELS.get(quantity.name, ()):
        warnings.append(f"{key}: {number} is a sentinel for no value")
        return None
    if not quantity.low <= number <= quantity.high:
        warnings.append(f"{key}: {number} is not plausible")  # kept: the screen flags it, and the quarantine shows it
    return number


def is_suspect(quantity: str, value: object) -> bool:
    """Whether `value` is a known error value that could also be true."""
    return value in SUSPECT.get(quantity, ()) and not isinstance(value, bool)


def quantity_for_unit(unit: str, name: str) -> str:
    """The quantity that a value of `unit` called `name` most plainly is, or "" when the unit does not tell."""
    found = unit_of(unit)
    if found is None:
        return ""
    hint = name.lower()
    if unit.strip().lower() == "%el":
        return "battery_pct"
    if unit.strip().lower() in ("%rh", "rh"):
        return "humidity_pct"
    for base, hints in _BY_UNIT:
        if base == found[0]:
            return next((target for word, target in hints if word in hint), "")
    return ""


# canonical unit → (part of the name, quantity); the empty part takes the rest
_BY_UNIT: Final = (
    ("°C", (("cable", "cable_temperature_c"), ("cell", "cell_temperature_c"), ("", "temperature_c"))),
    ("W", (("", "power_w"),)),
    ("VA", (("", "apparent_power_va"),)),
    ("var", (("", "reactive_power_var"),)),
    ("V", (("bat", "battery_v"), ("", "voltage_v"))),
    ("A", (("residual", "residual_current_ma"), ("leak", "residual_current_ma"), ("limit", "current_limit_a"), ("", "current_a"))),
    ("kWh", (("export", "energy_export_kwh"), ("session", "session_energy_kwh"), ("", "energy_import_kwh"))),
    ("Hz", (("", "frequency_hz"),)),
    ("ppm", (("co2", "co2_ppm"), ("carbon_dioxide", "co2_ppm"), ("co", "co_ppm"))),
    ("lx", (("", "illuminance_lx"),)),
    ("dBm", (("", "rssi_dbm"),)),
    ("dB/m", (("", "smoke_density_db_m"),)),
    ("%LEL", (("", "gas_lel_pct"),)),
    ("m³", (("gas", "gas_m3"), ("", "water_m3"))),
    ("m³/h", (("", "flow_m3_h"),)),
    ("hPa", (("water", "water_pressure_kpa"), ("", "pressure_hpa"))),
    ("%", (("hum", "humidity_pct"), ("rh", "humidity_pct"), ("bat", "battery_pct"), ("soc", "soc_pct"))),
)  # fmt: skip

# name as written (lower case, blanks and - as _) → (quantity, unit that the name states)
_NAMES: Final[dict[str, tuple[str, str]]] = {
    alias: (quantity, unit)
    for quantity, unit, aliases in (
        ("temperature_c", "", "temperature temp tem temperature_celsius temp_c tempc air_temperature ambient_temperature wendu 温度"),
        ("temperature_c", "°F", "temperature_f temp_f tempf temperature_fahrenheit"),
        ("humidity_pct", "", "humidity hum rh relative_humidity humidity_rh shidu 湿度"),
        ("pressure_hpa", "", "pressure baro barometer air_pressure atmospheric_pressure pressure_mbar"),
        ("water_pressure_kpa", "", "water_pressure"),
        ("water_pressure_kpa", "MPa", "water_pressure_mpa"),
        ("water_pressure_kpa", "bar", "water_pressure_bar"),
        ("illuminance_lx", "", "illuminance lux illumination"),
        ("battery_pct", "", "battery batt bat battery_level battery_percent battery_percentage 电量"),
        ("battery_v", "", "battery_voltage vbat batv bat_v batt_v vbatt batteryvoltage"),
        ("battery_v", "mV", "battery_mv bat_mv vbat_mv batt_mv"),
        ("voltage_v", "", "voltage volt volts 电压"),
        ("voltage_v", "mV", "voltage_mv"),
        ("current_a", "", "current curr amps ampere amperes 电流"),
        ("current_a", "mA", "current_ma"),
        ("power_w", "", "power active_power watt watts 功率"),
        ("power_w", "kW", "power_kw active_power_kw"),
        ("apparent_power_va", "", "apparent_power"),
        ("reactive_power_var", "", "reactive_power"),
        ("energy_import_kwh", "", "energy energy_kwh energy_total total_energy kwh total_kwh import_kwh energy_import consumption_kwh 电能"),
        ("energy_import_kwh", "Wh", "energy_wh total_wh energy_import_wh"),
        ("energy_export_kwh", "", "energy_export export_kwh energy_produced produced_energy"),
        ("power_factor", "", "pf powerfactor"),
        ("frequency_hz", "", "frequency freq hz"),
        ("residual_current_ma", "mA", "residual_current leakage_current leak_current 漏电流"),
        ("smoke", "", "smoke_alarm smoke_detected smoke_state smokealarm fire fire_alarm 烟感 烟雾"),
        ("smoke_density", "", "smoke_value smoke_level"),
        ("co_ppm", "", "co_ppm co_level co_concentration"),
        ("co_alarm", "", "co_detected carbon_monoxide_alarm"),
        ("co2_ppm", "", "co2 eco2 carbon_dioxide"),
        ("gas_alarm", "", "gas_leak gas_detected gas_leakage 燃气"),
        ("gas_lel_pct", "", "lel gas_lel lel_pct"),
        ("heat_alarm", "", "heat heat_detected over_temperature_alarm"),
        ("water_leak", "", "leak flood waterleak water_leakage leak_detected water_leak_alarm water_detected 水浸"),
        ("manual_call", "", "manual_call_point mcp sos call_point"),
        ("tamper", "", "tampered tamper_alarm removed 防拆"),
        ("battery_low", "", "low_battery lowbattery battery_alarm lowbat"),
        ("test", "", "self_test testing test_mode"),
        ("mute", "", "muted silence silenced hush"),
        ("occupancy", "", "motion presence occupied pir"),
        ("lane_occupied", "", "lane_blocked fire_lane_occupied"),
        ("door_open", "", "door door_state door_status is_open dooropen 门磁"),
        ("lock_state", "", "lock locked lock_status"),
        ("gate_state", "", "gate gate_status barrier"),
        ("forced_open", "", "forced door_forced"),
        ("relay_on", "", "relay switch relay_state switch_state power_state output"),
        ("charger_state", "", "charge_state charging_state charger_status charging_status"),
        ("soc_pct", "", "soc state_of_charge"),
        ("rssi_dbm", "", "rssi signal signal_strength"),
        ("snr_db", "", "snr"),
        ("linkquality", "", "lqi link_quality"),
        ("water_m3", "", "water_volume water_total water_consumption 水量"),
        ("gas_m3", "", "gas_volume gas_total gas_consumption 气量"),
        ("water_level_m", "", "water_level"),
    )
    for alias in aliases.split()
}  # fmt: skip
_SEPARATORS: Final = re.compile(r"[\s.\-/]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=4_096)
def named(key: str) -> tuple[str, str] | None:
    """The quantity that a common name means and the unit that the name itself states, or None when it is not known."""
    if key in QUANTITIES:
        return key, ""
    plain = _SEPARATORS.sub("_", key.strip())
    lower = plain.lower()
    for name in (lower, _HUMP.sub("_", plain).lower()):
        if name in QUANTITIES:
            return name, ""
        if name in _NAMES:
            return _NAMES[name]
    return None
