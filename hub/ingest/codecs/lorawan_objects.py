"""What the keys of decoded LoRaWAN objects mean: Milesight, Dragino, Cayenne LPP, normalized payloads. All knowledge is data."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.saying import Saying
from hub.ingest.values import named, short

_CHANNEL: Final = re.compile(r"_(\d{1,2})\Z")
_MOST_KEYS: Final = 200
_MOST_HISTORY: Final = 200

# key (lower case) → (name, unit); of devices whatever their model
_KEYS: Final[dict[str, tuple[str, str]]] = {
    "temperature": ("temperature_c", ""), "humidity": ("humidity_pct", ""), "pressure": ("pressure_hpa", ""),
    "barometric_pressure": ("pressure_hpa", ""), "co2": ("co2_ppm", ""), "co": ("co_ppm", ""), "illumination": ("illuminance_lx", ""),
    "illuminance": ("illuminance_lx", ""), "light_level": ("light_level", ""), "distance": ("distance_mm", ""),
    "pulse": ("pulse_count", ""), "counter": ("pulse_count", ""), "voltage": ("voltage_v", ""), "active_power": ("power_w", ""),
    "power_consumption": ("energy_import_kwh", "Wh"), "power_factor": ("power_factor", "%"), "total_current": ("charge_ah", ""),
    "concentration": ("smoke_concentration", ""), "water": ("water_m3", ""), "pm2_5": ("pm25_ugm3", ""), "pm10": ("pm10_ugm3", ""),
    "tvoc": ("tvoc", ""), "depth": ("depth_cm", ""), "water_level": ("water_level_cm", ""), "current_max": ("current_max_a", ""),
    "current_min": ("current_min_a", ""),
    # Dragino
    "batv": ("battery_v", ""), "bat_v": ("battery_v", ""), "bat": ("battery_v", ""), "bat_mv": ("battery_v", "mV"), "hum_sht": ("humidity_pct", ""),
    "hum_sht31": ("humidity_pct", ""), "tempc_sht": ("temperature_c", ""), "tempc_sht31": ("temperature_c", ""), "tempc1": ("temperature_c", ""),
    "tempc_ds": ("temperature_c_ext", ""), "temp_ds18b20": ("temperature_c_ext", ""), "tempc2": ("temperature_c_2", ""),
    "tempc3": ("temperature_c_3", ""), "temp_soil": ("soil_temperature_c", ""), "water_soil": ("soil_moisture_pct", ""),
    "water_soil_f": ("soil_moisture_pct", ""), "conduct_soil": ("soil_conductivity_us_cm", ""), "ill_lx": ("illuminance_lx", ""),
    "ill_lux": ("illuminance_lx", ""), "water_leak_times": ("water_leak_times", ""), "door_open_times": ("door_open_times", ""),
    "last_door_open_duration": ("last_door_open_min", ""), "last_water_leak_duration": ("last_water_leak_min", ""),
    "total_pulse": ("pulse_count", ""), "total_count": ("pulse_count", ""),
    # Cayenne LPP and what others call it
    "relative_humidity": ("humidity_pct", ""), "barometer": ("pressure_hpa", ""), "luminosity": ("illuminance_lx", ""),
    "digital_in": ("digital_in", ""), "digital_out": ("digital_out", ""), "analog_in": ("analog_in", ""), "analog_out": ("analog_out", ""),
    "battery_voltage": ("battery_v", ""), "batteryvoltage": ("battery_v", ""), "vdd": ("battery_v", "mV"), "vbat": ("battery_v", ""),
}  # fmt: skip
# key → (quantity, word → value); None: unknown
_WORDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "leakage_status": ("water_leak", {"leak": True, "leakage": True, "normal": False}),
    "water_leak": ("water_leak", {"leak": True, "normal": False}),
    "water_leak_status": ("water_leak", {"1": True, "0": False, "leak": True, "no leak": False}),
    "magnet_status": ("door_open", {"open": True, "opened": True, "close": False, "closed": False}),
    "door": ("door_open", {"open": True, "close": False, "closed": False}),
    "door_status": ("door_open", {"open": True, "close": False, "closed": False}),
    "door_open_status": ("door_open", {"1": True, "0": False, "open": True, "close": False, "closed": False}),
    "contact": ("door_open", {"open": True, "closed": False}),
    "tamper_status": ("tamper", {"installed": False, "uninstalled": True, "normal": False, "triggered": True}),
    "socket_status": ("relay_on", {"on": True, "off": False, "open": True, "close": False}),
    "switch_status": ("relay_on", {"on": True, "off": False}),
    "occupancy": ("occupancy", {"occupied": True, "vacant": False, "unoccupied": False}),
    "pir": ("occupancy", {"trigger": True, "triggered": True, "normal": False, "idle": False, "occupied": True, "vacant": False}),
    "pir_status": ("occupancy", {"trigger": True, "triggered": True, "normal": False, "idle": False}),
    "smoke_status": ("smoke", {"alarm": True, "smoke alarm": True, "normal": False, "alarm released": False}),
    "gas_status": ("gas_alarm", {"alarm": True, "normal": False}),
    "battery_status": ("battery_low", {"low": True, "normal": False}),
    "button_status": ("button_status", {}),
}  # fmt: skip
# phrases of smoke detectors, by how they begin
_PHRASES: Final[tuple[tuple[str, tuple[tuple[str, bool], ...]], ...]] = (
    ("testing", (("smoke", False), ("test", True))),
    ("test", (("smoke", False), ("test", True))),
    ("alarm", (("smoke", True),)),
    ("smoke alarm", (("smoke", True),)),
    ("silent", (("mute", True),)),  # the sounder is off, the smoke need not be gone
    ("low battery", (("battery_low", True),)),
    ("failover", (("fault", True),)),
    ("fault", (("fault", True),)),
    ("normal", (("smoke", False),)),
    ("removed", (("tamper", True),)),
    ("installed", (("tamper", False),)),
)
_NOT_READINGS: Final = frozenset(
    ("version", "protocol", "type", "sn", "ipso_version", "hardware_version", "firmware_version", "tsl_version", "lorawan_class",
     "device_status", "power", "reset_event", "calibration_status", "mod", "work_mode", "ext_sensor", "node_type", "i_flag", "s_flag",
     "interrupt_flag", "alarm", "status", "history", "payload_ver", "bat_status", "freq_band", "sub_band", "sensor_model",
     "firmware_version", "message_type", "timestamp", "time", "port", "fport", "lorawan_version", "report_status")
)  # fmt: skip
_CURRENT_MA: Final = frozenset(("socket_status", "power_consumption", "active_power", "power_factor"))


def put_object(body: dict[str, Any], saying: Saying, model: str = "", *, at_ms: int | None = None) -> None:
    """Adds all that a decoded object says. `model`: the device profile or product, where units depend on it."""
    smart_plug = bool(_CURRENT_MA & body.keys()) or model.upper().startswith(("WS52", "WS51"))
    for n, (key, value) in enumerate(body.items()):
        if n >= _MOST_KEYS:
            saying.warn("too many keys: the rest is left out")
            return
        if isinstance(value, dict) and "value" in value and not isinstance(value["value"], dict | list):
            unit = value.get("unit", "")
            _put(key, value["value"], body, saying, smart_plug, at_ms, unit[:12] if isinstance(unit, str) else "")
        elif isinstance(value, dict):
            _alarms(key, value, saying)
        elif not isinstance(value, list):
            _put(key, value, body, saying, smart_plug, at_ms, "")


def put_history(entries: Any, saying: Saying, model: str = "") -> None:
    """Stored points of the past, each with a time of its own: never alarms of now."""
    if not isinstance(entries, list):
        return
    if len(entries) > _MOST_HISTORY:
        saying.warn(f"{len(entries)} stored points, only the first {_MOST_HISTORY} are read")
    for entry in entries[:_MOST_HISTORY]:
        if not isinstance(entry, dict):
            continue
        at = saying.instant(entry.get("timestamp", entry.get("time")))
        if at.at_ms is None:
            saying.warn("a stored point without a usable time: left out")
            continue
        live = saying.findings
        saying.findings = type(live)()
        put_object({k: v for k, v in entry.items() if k not in ("timestamp", "time")}, saying, model, at_ms=at.at_ms)
        warnings = saying.findings.warnings
        saying.to_history()
        live.warnings.extend(warnings)
        saying.findings = live


def _put(
    key: str, value: Any, body: dict[str, Any], saying: Saying, smart_plug: bool, at_ms: int | None, unit: str
) -> None:
    lower = key.strip().lower().replace(" ", "_").replace("-", "_")
    found = _CHANNEL.search(lower)
    stem = lower[: found.start()] if found is not None and lower not in _KEYS else lower
    suffix = "" if found is None or stem == lower else f"_{found[1]}"
    if lower == "event" and isinstance(value, str):
        put_phrase(value, saying, at_ms)
    elif lower.endswith("_sensor_status") or (
        isinstance(value, str) and value.strip().lower() in ("read failed", "read error")
    ):
        if isinstance(value, str) and value.strip().lower() not in ("normal", "ok"):
            saying.warn(f"sensor fault: {lower.removesuffix('_sensor_status')}")
    elif lower == "battery" or lower == "battery_level":
        number = _number(value)
        if number is not None and number > 100:
            saying.put("battery_v", number, unit="mV", key=key, at_ms=at_ms)
        elif number is not None and isinstance(value, float) and number < 5 and number != int(number):
            saying.put("battery_v", number, key=key, at_ms=at_ms)
        else:
            saying.put("battery_pct", value, key=key, at_ms=at_ms)
    elif lower == "current":
        saying.put("current_a", value, unit=unit or ("mA" if smart_plug else ""), key=key, at_ms=at_ms)
    elif lower == "temp_ds18b20" and value in ("0.00", "0.0", "327.67", "-327.68"):
        saying.warn(f"temp_DS18B20 {short(value)}: disconnected probe")
    elif lower in _WORDS:
        _word(lower, key, value, saying, at_ms)
    elif lower in _NOT_READINGS:
        return
    elif lower in _KEYS or stem in _KEYS:
        name, given = _KEYS.get(lower) or _KEYS[stem]
        if name.startswith(("smoke_conc", "pulse", "charge", "distance", "soil")) and isinstance(value, str):
            value = _number(value)
        saying.put(name + suffix, value, unit=unit or given, key=key, at_ms=at_ms)
    elif named(key) is not None:
        saying.put_named(key, value, unit=unit, at_ms=at_ms)
    elif isinstance(value, bool | int | float):
        saying.put(key[:100], value, at_ms=at_ms)


def put_phrase(phrase: str, saying: Saying, at_ms: int | None = None) -> None:
    """The state of a smoke detector as a phrase; one that is not known is shown, never silence."""
    said = phrase.strip().lower()
    for start, values in _PHRASES:
        if said.startswith(start):
            for quantity, value in values:
                saying.put(quantity, value, key="event", at_ms=at_ms)
            break
    else:
        saying.put("smoke", phrase, key="event", at_ms=at_ms)
    if "low battery" in said and not said.startswith("low battery"):
        saying.put("battery_low", True, key="event", at_ms=at_ms)
    elif "normal battery" in said:
        saying.put("battery_low", False, key="event", at_ms=at_ms)


def _word(lower: str, key: str, value: Any, saying: Saying, at_ms: int | None) -> None:
    quantity, words = _WORDS[lower]
    if isinstance(value, str) and value.strip().lower() in words:
        value = words[value.strip().lower()]
    elif isinstance(value, int) and not isinstance(value, bool) and str(value) in words:
        value = words[str(value)]
    saying.put(quantity, value, key=key, at_ms=at_ms)


def _alarms(key: str, value: dict[str, Any], saying: Saying) -> None:
    """{"current_threshold_alarm": "yes", "current_threshold_alarm_release": "no"}: which limit was passed."""
    lower = key.lower()
    if not lower.endswith("_alarm"):
        return
    what = {"current_alarm": "overcurrent", "temperature_alarm": "overtemperature"}.get(
        lower, lower.removesuffix("_alarm")
    )
    on = [k for k, v in value.items() if v in ("yes", True, 1) and not k.endswith("_release")]
    over = [k for k, v in value.items() if v in ("yes", True, 1) and k.endswith("_release")]
    if on or over:
        saying.put(what, bool(on))
        saying.event("alarm", {"cause": ", ".join(on or over)[:100]}, alarm=what, active=bool(on))
    elif value:
        saying.put(what, False)


def put_normalized(body: dict[str, Any], saying: Saying) -> None:
    """One measurement of The Things Stack's normalized payload, whose names and units are fixed."""
    for path, name, unit in _NORMALIZED:
        found: Any = body
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            saying.put(name, found, unit=unit, key=".".join(path))
    action = body.get("action")
    if isinstance(action, dict) and isinstance(action.get("contactState"), str):
        saying.put(
            "door_open",
            {"open": True, "closed": False}.get(action["contactState"], action["contactState"]),
            key="contactState",
        )


_NORMALIZED: Final = (
    (("air", "temperature"), "temperature_c", ""), (("air", "relativeHumidity"), "humidity_pct", ""),
    (("air", "pressure"), "pressure_hpa", ""), (("air", "co2"), "co2_ppm", ""), (("air", "lightIntensity"), "illuminance_lx", ""),
    (("soil", "temperature"), "soil_temperature_c", ""), (("soil", "moisture"), "soil_moisture_pct", ""), (("soil", "depth"), "soil_depth_cm", ""),
    (("soil", "ec"), "soil_conductivity_us_cm", ""), (("water", "leak"), "water_leak", ""), (("water", "temperature", "current"), "water_temperature_c", ""),
    (("metering", "water", "total"), "water_m3", "l"), (("metering", "gas", "total"), "gas_m3", ""), (("metering", "energy", "total"), "energy_import_kwh", ""),
    (("action", "motion", "detected"), "occupancy", ""), (("action", "motion", "count"), "motion_count", ""), (("battery",), "battery_v", ""),
    (("rain", "cumulative"), "rain_mm", ""), (("wind", "speed"), "wind_m_s", ""), (("wind", "direction"), "wind_direction_deg", ""),
    (("position", "latitude"), "latitude", ""), (("position", "longitude"), "longitude", ""),
)  # fmt: skip


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            return float(value) if len(value) <= 32 else None
        except ValueError:
            return None
    return value if isinstance(value, int | float) else None
