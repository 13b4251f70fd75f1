"""What Tasmota's sensors mean: the ENERGY object, sensor chips by their keys, and meters whose keys their installer chose."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.saying import Saying

_ENERGY: Final = {
    "Total": ("energy_import_kwh", ""), "Power": ("power_w", ""), "ApparentPower": ("apparent_power_va", ""),
    "ReactivePower": ("reactive_power_var", ""), "Factor": ("power_factor", ""), "Voltage": ("voltage_v", ""),
    "Current": ("current_a", ""), "Frequency": ("frequency_hz", ""), "ExportActive": ("energy_export_kwh", ""),
    "ExportPower": ("power_export_w", ""), "Today": ("energy_day_kwh", ""), "Yesterday": ("energy_yesterday_kwh", ""),
    "TotalExport": ("energy_export_kwh", ""), "ImportActive": ("energy_import_kwh", ""),
}  # fmt: skip
_SENSOR: Final = {
    "Temperature": "temperature_c", "Humidity": "humidity_pct", "DewPoint": "dew_point_c", "Pressure": "pressure_hpa",
    "SeaPressure": "sea_pressure_hpa", "CarbonDioxide": "co2_ppm", "eCO2": "eco2_ppm", "TVOC": "tvoc_ppb", "Illuminance": "illuminance_lx",
    "Light": "illuminance_lx", "Lux": "illuminance_lx", "Distance": "distance_cm", "Gas": "gas_kohm", "Noise": "noise",
    "PM2.5": "pm25_ugm3", "PM10": "pm10_ugm3", "CF2.5": "pm25_cf", "A0": "analog_0", "Voltage": "voltage_v", "Current": "current_a",
    "Power": "power_w", "Occupancy": "occupancy", "Contact": "door_open", "Water": "water_leak", "Smoke": "smoke", "Battery": "battery_pct",
    "BatteryPercentage": "battery_pct", "BatteryVoltage": "battery_v", "LinkQuality": "linkquality", "RSSI": "rssi_dbm", "Motion": "occupancy",
    "Moisture": "soil_moisture_pct", "Energy": "energy_import_kwh", "Range": "range", "ZoneStatusChange": "zone_status", "Position": "position_pct",
    "Fire": "smoke", "CO": "co_alarm", "BatteryLowAlarm": "battery_low", "RMSVoltage": "voltage_v", "RMSCurrent": "current_a",
    "ActivePower": "power_w", "CO2": "co2_ppm", "Red": "red", "Proximity": "proximity",
}  # fmt: skip
_PHASE: Final = re.compile(r"[_ ]?(?:L|P|Phase|phase|(?<=_)[lp])_?([123])\Z|_([123])\Z")
# parts of keys (lower case) that installers choose, German and English → name; the first that fits counts
_METER: Final = (
    (("einspeis", "export", "lieferung", "e_out", "total_out", "energyout", "feed", "2_8_0", "2.8.0", "kwh_out"), "energy_export_kwh"),
    (("verbrauch", "bezug", "import", "e_in", "total_in", "energyin", "total_kwh", "zaehlerstand", "1_8_0", "1.8.0", "kwh_in", "energie", "wirkenergie"), "energy_import_kwh"),
    (("watt", "leistung", "power", "p_w", "curr_w", "16_7_0", "16.7.0", "aktuell", "wirkleistung"), "power_w"),
    (("volt", "spannung", "u_"), "voltage_v"),
    (("amp", "strom", "current", "i_"), "current_a"),
    (("freq", "hz"), "frequency_hz"),
)  # fmt: skip
_EXACT: Final = {"E_in": "energy_import_kwh", "E_out": "energy_export_kwh", "Total_in": "energy_import_kwh", "Total_out": "energy_export_kwh",
                 "Power_curr": "power_w", "Power_cur": "power_w", "P": "power_w", "Power": "power_w", "Power_total": "power_w", "Total": "energy_import_kwh",
                 "total_in": "energy_import_kwh", "total_out": "energy_export_kwh", "power": "power_w", "curr_w": "power_w"}  # fmt: skip


def put_energy(values: dict[str, Any], saying: Saying) -> None:
    """The ENERGY object: a number, or an array by phase or relay."""
    for key, (name, unit) in _ENERGY.items():
        value = values.get(key)
        if isinstance(value, list):
            for n, one in enumerate(value[:16]):
                place = f"l{n + 1}" if len(value) == 3 else f"ch{n + 1}"
                if not isinstance(one, dict | list):
                    saying.put(f"{name}_{place}", one, unit=unit, key=key)
            numbers = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)]
            if (
                key in ("Power", "Total", "ExportActive", "ApparentPower", "ReactivePower")
                and len(numbers) == len(value) > 0
            ):
                saying.put(name, round(sum(numbers), 6), unit=unit, key=key)
        elif key in values and not isinstance(value, dict):
            saying.put(name, value, unit=unit, key=key)


def put_sensor(
    group: str, values: dict[str, Any], saying: Saying, suffix: str, fahrenheit: bool, pressure: str
) -> bool:
    """The values of one sensor chip; False when no key of it is one."""
    known = [key for key in values if key in _SENSOR]
    if not known or (
        not fahrenheit
        and any(k in _EXACT for k in values)
        and not {"Temperature", "Humidity", "Voltage", "Current"} & values.keys()
    ):
        return False
    for key in known:
        value = values[key]
        if isinstance(value, dict | list):
            continue
        name, unit = _SENSOR[key], ""
        if key in ("Temperature", "DewPoint") and fahrenheit:
            if name == "dew_point_c":
                name, unit, value = (
                    "dew_point_c",
                    "",
                    round((value - 32) * 5 / 9, 6) if isinstance(value, int | float) else None,
                )
            else:
                unit = "°F"
        elif key in ("Pressure", "SeaPressure") and pressure:
            factor = 1.33322387 if pressure == "mmHg" else 33.8638867
            value = round(value * factor, 4) if isinstance(value, int | float) and not isinstance(value, bool) else None
        elif key == "Temperature" and group.startswith("ESP32"):
            name = "device_temperature_c"
        elif key == "Contact" and not isinstance(value, bool):
            value = {0: False, 1: True}.get(value, value) if isinstance(value, int) else value
        saying.put(name + suffix, value, unit=unit, key=key)
    return True


def put_meter(values: dict[str, Any], saying: Saying) -> None:
    """A meter read by its optical eye (SML, OBIS): keys in the installer's words."""
    for key, value in list(values.items())[:100]:
        if isinstance(value, bool | dict | list) or not isinstance(value, int | float | str | None):
            continue
        if isinstance(value, str):
            try:
                value = float(value) if len(value) <= 20 else None
            except ValueError:
                continue
            if value is None:
                continue
        phase = _PHASE.search(key)
        stem = key[: phase.start()] if phase is not None else key
        name = (
            _EXACT.get(key)
            or _EXACT.get(stem)
            or next((n for words, n in _METER if any(w in stem.lower() for w in words)), "")
        )
        if not name:
            if isinstance(value, int | float):
                saying.put(key[:60], value)
            continue
        if phase is not None:
            name = f"{name}_l{phase[1] or phase[2]}"
        saying.put(name, value, key=key)
