"""rtl_433: radio sensors of any maker, as JSON events or one value per topic. For smoke detectors the message itself is the alarm."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object, text_of
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

NAME: Final = "rtl_433"
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\Z")
_VALUES: Final = {
    "temperature_C": ("temperature_c", ""), "temperature_F": ("temperature_c", "°F"), "humidity": ("humidity_pct", ""),
    "temperature_1_C": ("temperature_c", ""), "temperature_2_C": ("temperature_c_2", ""), "temperature_3_C": ("temperature_c_3", ""),
    "temperature_4_C": ("temperature_c_4", ""), "battery_mV": ("battery_v", "mV"), "battery_V": ("battery_v", ""), "battery_pct": ("battery_pct", ""),
    "moisture": ("soil_moisture_pct", ""), "light_lux": ("illuminance_lx", ""), "lux": ("illuminance_lx", ""), "pressure_hPa": ("pressure_hpa", ""),
    "power_W": ("power_w", ""), "power0_W": ("power_w", ""), "power1_W": ("power_w_ch1", ""), "power2_W": ("power_w_ch2", ""),
    "energy_kWh": ("energy_import_kwh", ""), "current_A": ("current_a", ""), "voltage_V": ("voltage_v", ""), "co2_ppm": ("co2_ppm", ""),
    "pm2_5_ug_m3": ("pm25_ugm3", ""), "pm10_0_ug_m3": ("pm10_ugm3", ""), "wind_avg_km_h": ("wind_km_h", ""), "wind_avg_m_s": ("wind_m_s", ""),
    "wind_max_m_s": ("wind_gust_m_s", ""), "wind_dir_deg": ("wind_direction_deg", ""), "rain_mm": ("rain_mm", ""), "uv": ("uv_index", ""), "uvi": ("uv_index", ""),
    "depth_cm": ("depth_cm", ""), "rssi": ("rssi_dbm", ""), "snr": ("snr_db", ""), "noise": ("noise_dbm", ""), "strike_count": ("strikes", ""),
    "consumption_data": ("meter_count", ""), "consumption": ("meter_count", ""), "volume_m3": ("water_m3", ""),
}  # fmt: skip
_SWITCHES: Final = {
    "tamper": "tamper", "detect_wet": "water_leak", "leak": "water_leak", "water": "water_leak", "reed_open": "door_open", "contact_open": "door_open",
    "opened": "door_open", "motion": "occupancy", "smoke": "smoke", "gas": "gas_alarm", "co_alarm": "co_alarm",
}  # fmt: skip
_STATES: Final = {"open": ("door_open", True), "closed": ("door_open", False)}
_SMOKE: Final = re.compile(r"smoke|rauch", re.IGNORECASE)


class Rtl433Codec:
    """Decodes events, device topics and availability below `root`. Never raises."""

    name = NAME

    def __init__(self, root: str = "rtl_433", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        levels = topic[len(self.root) + 1 :].split("/") if topic.startswith(self.root + "/") else []
        if not levels or len(levels) > 12:
            return Reject(codec=NAME, reason="unknown topic", detail=f"not under {self.root}/")
        if levels[-1] == "availability":
            host = "/".join([self.root, *levels[:-1]])
            saying = Saying(NAME, host, host, received_at_ms)
            word = text_of(payload[:32])[0].strip().lower()
            if word not in ("online", "offline"):
                return Reject(
                    codec=NAME, reason="bad availability", detail=short(word), device=host, address=saying.address
                )
            return (saying.decoded(availability=word == "online", cascade=True, retained_state=True),)
        device = self._by_topic(levels)
        saying = Saying(NAME, device, device, received_at_ms, self._context.zone)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        if levels[-1] in ("states", "log"):
            return (saying.decoded(ignored="state of the receiver"),)
        if "devices" in levels and payload.lstrip()[:1] != b"{":
            return self._bare(levels[-1], payload, saying)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return self._reject(saying, parsed.reason, parsed.detail)
        body = parsed.value
        if not isinstance(body, dict):
            return self._reject(saying, "not an object", short(body))
        for warning in parsed.warnings:
            saying.warn(warning)
        return self._event(body, saying)

    @staticmethod
    def _by_topic(levels: list[str]) -> str:
        """The device where the payload does not name it: behind `devices`, else the last two levels."""
        if "devices" in levels:
            behind = levels[levels.index("devices") + 1 : -1]
            return "/".join(behind) or levels[-1]
        return "/".join(levels[-2:])

    def _event(self, body: dict[str, Any], saying: Saying) -> tuple[Decoded, ...] | Reject:
        parts = [
            str(body[k])[:40]
            for k in ("model", "subtype", "channel", "id")
            if isinstance(body.get(k), str | int) and not isinstance(body[k], bool)
        ]
        if isinstance(body.get("model"), str):
            saying.device = "/".join(parts)
            saying.address = f"{NAME}:{saying.device}"
        if body.get("time") is not None:
            saying.time(body["time"])
        values = [(k, v) for k, v in list(body.items())[:200] if not isinstance(v, dict | list)]
        for key, value in values:
            self._put(key, value, saying)
        self._alarm(body, saying)
        if saying.empty and not saying.findings.warnings:
            return self._reject(saying, "no schema", "no reading in the event")
        return (saying.decoded(),)

    def _put(self, key: str, value: Any, saying: Saying) -> None:
        if key in _VALUES:
            name, unit = _VALUES[key]
            saying.put(name, value, unit=unit, key=key)
        elif key == "battery_ok":
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
            if number is not None and 0 <= number <= 1:
                saying.put("battery_low", number < 0.2, key=key)
                if number not in (0, 1):
                    saying.put("battery_pct", round(number * 100, 3), key=key)
            else:
                saying.put("battery_low", None, key=key)
        elif key == "battery" and isinstance(value, str) and value.upper() in ("OK", "LOW"):
            saying.put("battery_low", value.upper() == "LOW", key=key)
        elif key in _SWITCHES and isinstance(value, int | bool | str):
            saying.put(_SWITCHES[key], value, key=key)
        elif key == "state" and isinstance(value, str) and value.lower() in _STATES:
            name, on = _STATES[value.lower()]
            saying.put(name, on, key=key)

    @staticmethod
    def _alarm(body: dict[str, Any], saying: Saying) -> None:
        """A smoke detector of this kind sends nothing but alarms: its message is one, and nothing ever clears it."""
        if not _SMOKE.search(saying.device) or "smoke" in body:
            return
        if body.get("learn") in (1, True):
            saying.put("test", True, key="learn")
            saying.findings.events.clear()
            saying.event("pairing")
        elif "learn" in body or "code" in body or body.get("event") == "alarm":
            saying.put("smoke", True, key="message")
            saying.warn("the message itself is the alarm: nothing will clear it")

    def _bare(self, field: str, payload: bytes, saying: Saying) -> tuple[Decoded, ...] | Reject:
        text = text_of(payload[:256])[0].strip()
        value: Any = text
        if _NUMBER.match(text) and len(text) <= 40:
            value = float(text) if any(c in text for c in ".eE") else int(text)
        if field == "time":
            saying.time(text)
            return (saying.decoded(),)
        self._put(field, value, saying)
        if any(event.type == "alarm_unclear" for event in saying.findings.events):
            return self._reject(saying, "bad value", f"{field} is {short(text)}")
        if saying.empty:
            return (saying.decoded(ignored=f"{short(field)} is not a reading"),)
        return (saying.decoded(),)

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    return topic.split("/")[0]
