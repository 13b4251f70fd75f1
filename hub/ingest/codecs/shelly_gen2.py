"""Shelly of the second generation and later: RPC notifications, status topics, answers, and BLU devices relayed by scripts.

A notification overlays the last full status, so what is absent is unchanged. `<prefix>` is the device's own choice: the device is
`src` where the message names it, else the last level of the prefix.
"""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object, text_of
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

NAME: Final = "shelly-gen2"
_TOPIC: Final = re.compile(
    r"(?:(?P<prefix>.+?)/)?(?:(?P<rpc>events/rpc)|status/(?P<component>[^/]+)|(?P<online>online)|(?P<answer>rpc)|(?P<other>debug/.+|command(?:/.+)?|announce|info))\Z"
)
_BLU: Final = re.compile(r"(?:.+/)?events/(?P<address>[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5})\Z")
_MOST_EVENTS: Final = 50
_PLACES: Final = {"a": "l1", "b": "l2", "c": "l3"}
# component → key → (name, unit); the name gets the channel behind it
_VALUES: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "switch": {
        "output": ("relay_on", ""), "apower": ("power_w", ""), "voltage": ("voltage_v", ""), "current": ("current_a", ""),
        "pf": ("power_factor", ""), "freq": ("frequency_hz", ""), "aenergy.total": ("energy_import_kwh", "Wh"),
        "ret_aenergy.total": ("energy_export_kwh", "Wh"), "temperature.tC": ("device_temperature_c", ""),
    },
    "cover": {
        "state": ("gate_state", ""), "apower": ("power_w", ""), "voltage": ("voltage_v", ""), "current": ("current_a", ""),
        "pf": ("power_factor", ""), "freq": ("frequency_hz", ""), "aenergy.total": ("energy_import_kwh", "Wh"),
        "temperature.tC": ("device_temperature_c", ""), "current_pos": ("position_pct", ""),
    },
    "pm1": {
        "apower": ("power_w", ""), "voltage": ("voltage_v", ""), "current": ("current_a", ""), "aprtpower": ("apparent_power_va", ""),
        "pf": ("power_factor", ""), "freq": ("frequency_hz", ""), "aenergy.total": ("energy_import_kwh", "Wh"),
        "ret_aenergy.total": ("energy_export_kwh", "Wh"),
    },
    "em1": {
        "act_power": ("power_w", ""), "aprt_power": ("apparent_power_va", ""), "voltage": ("voltage_v", ""), "current": ("current_a", ""),
        "pf": ("power_factor", ""), "freq": ("frequency_hz", ""),
    },
    "em1data": {"total_act_energy": ("energy_import_kwh", "Wh"), "total_act_ret_energy": ("energy_export_kwh", "Wh")},
    "em": {
        "total_act_power": ("power_w", ""), "total_aprt_power": ("apparent_power_va", ""), "total_current": ("current_a", ""),
        "n_current": ("current_a_n", ""),
        **{f"{p}_{k}": (f"{name}_{phase}", "") for p, phase in _PLACES.items() for k, name in
           (("act_power", "power_w"), ("voltage", "voltage_v"), ("current", "current_a"), ("aprt_power", "apparent_power_va"),
            ("pf", "power_factor"), ("freq", "frequency_hz"))},
    },
    "emdata": {
        "total_act": ("energy_import_kwh", "Wh"), "total_act_ret": ("energy_export_kwh", "Wh"),
        **{f"{p}_total_act_energy": (f"energy_import_kwh_{phase}", "Wh") for p, phase in _PLACES.items()},
        **{f"{p}_total_act_ret_energy": (f"energy_export_kwh_{phase}", "Wh") for p, phase in _PLACES.items()},
    },
    "temperature": {"tC": ("temperature_c", "")},
    "humidity": {"rh": ("humidity_pct", "")},
    "illuminance": {"lux": ("illuminance_lx", "")},
    "smoke": {"alarm": ("smoke", ""), "mute": ("mute", "")},
    "flood": {"alarm": ("water_leak", ""), "mute": ("mute", "")},
    "gas": {"alarm": ("gas_alarm", ""), "mute": ("mute", ""), "ppm": ("gas_ppm", "")},
    "presence": {"state": ("occupancy", "")},
    "motion": {"motion": ("occupancy", "")},
    "voltmeter": {"voltage": ("voltage_v", "")},
    "wifi": {"rssi": ("rssi_dbm", "")},
}  # fmt: skip
for _light in ("light", "rgb", "rgbw", "cct"):
    _VALUES[_light] = _VALUES["switch"]
_BLU_VALUES: Final = {
    "battery": "battery_pct", "humidity": "humidity_pct", "temperature": "temperature_c", "rssi": "rssi_dbm",
    "illuminance": "illuminance_lx", "motion": "occupancy", "window": "door_open", "door": "door_open", "rotation": "rotation_deg",
    "vibration": "vibration", "smoke": "smoke", "moisture": "soil_moisture_pct", "water_leak": "water_leak", "pressure": "pressure_hpa",
    "distance_mm": "distance_mm",
}  # fmt: skip
_SMOKE_EVENTS: Final = {
    "alarm": ("smoke", True),
    "alarm_on": ("smoke", True),
    "alarm_off": ("smoke", False),
    "alarm_test": ("test", True),
}


class ShellyGen2Codec:
    """Decodes the topics of second-generation devices, below `root` if there is one. Never raises."""

    name = NAME

    def __init__(self, root: str = "", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        blu = _BLU.match(topic)
        found = None if blu is not None or len(topic) > 1_024 else _TOPIC.match(topic)
        if (blu is None and found is None) or (self.root and not topic.startswith(self.root + "/")):
            return Reject(codec=NAME, reason="unknown topic", detail="none of events/rpc, status/…, online, rpc")
        if blu is not None:
            return self._blu(blu["address"].lower(), payload, received_at_ms)
        assert found is not None
        prefix = (found["prefix"] or self.root or "").rsplit("/", 1)[-1]
        if not prefix:
            return Reject(codec=NAME, reason="unknown topic", detail="no prefix that names the device")
        saying = Saying(NAME, prefix, prefix, received_at_ms, self._context.zone)
        if found["other"]:
            return (saying.decoded(ignored="log, command or description"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        if found["online"]:
            word = text_of(payload[:16])[0].strip().lower()
            if word not in ("true", "false"):
                return self._reject(saying, "bad availability", short(word))
            return (saying.decoded(availability=word == "true", retained_state=True),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return self._reject(saying, parsed.reason, parsed.detail)
        body = parsed.value
        if not isinstance(body, dict):
            return self._reject(saying, "not an object", short(body))
        for warning in parsed.warnings:
            saying.warn(warning)
        if found["component"]:
            self._component(found["component"], body, saying)
            return (
                (saying.decoded(),)
                if not saying.empty
                else (saying.decoded(ignored=f"no reading in {short(found['component'])}"),)
            )
        return self._message(body, saying, answer=bool(found["answer"]))

    def _message(self, body: dict[str, Any], saying: Saying, *, answer: bool) -> tuple[Decoded, ...] | Reject:
        source = body.get("src")
        if isinstance(source, str) and source and not (answer and "method" in body):
            saying.device, saying.address = source[:128], f"{NAME}:{source[:128]}"
        method = body.get("method")
        if answer:
            result = body.get("result")
            if method is not None or not isinstance(result, dict):
                return (saying.decoded(ignored="command" if method is not None else "answer without a status"),)
            status = {k: v for k, v in result.items() if ":" in k or k in ("sys", "wifi")}
            self._status(status, saying)
            return (saying.decoded(),) if not saying.empty else (saying.decoded(ignored="answer without a status"),)
        params = body.get("params")
        if not isinstance(params, dict):
            return self._reject(saying, "missing field", "params must be an object")
        if params.get("ts") is not None:
            saying.time(params["ts"])
        if method in ("NotifyStatus", "NotifyFullStatus"):
            self._status(params, saying)
        elif method == "NotifyEvent":
            events = params.get("events")
            for event in events[:_MOST_EVENTS] if isinstance(events, list) else []:
                if isinstance(event, dict):
                    self._event(event, saying)
        else:
            return self._reject(saying, "no schema", f"method {short(method)}")
        if saying.empty:
            return (saying.decoded(ignored="no reading in the status"),)
        return (saying.decoded(),)

    def _status(self, params: dict[str, Any], saying: Saying) -> None:
        for component, values in list(params.items())[:200]:
            if isinstance(values, dict):
                self._component(component, values, saying)

    def _component(self, component: str, values: dict[str, Any], saying: Saying) -> None:
        kind, _, number = component.partition(":")
        if not number and isinstance(values.get("id"), int):
            number = str(values["id"])
        n = int(number) if number.isdecimal() and len(number) < 4 else 0
        suffix = f"_ch{n + 1}" if 0 < n < 100 else f"_{n}" if n else ""
        if kind == "input":
            for key, name in (("state", f"input_{n}"), ("percent", f"input_{n}_pct")):
                if values.get(key) is not None or key in values:
                    saying.put(name, values[key])
            return
        if kind == "devicepower":
            self._power(values, saying)
            return
        if kind == "sys":
            period = values.get("wakeup_period")
            if isinstance(period, int | float) and not isinstance(period, bool) and 0 < period <= 31_536_000:
                saying.fields["expected_interval_s"] = period
            return
        known = _VALUES.get(kind, {})
        for key, value in values.items():
            if isinstance(value, dict):
                for inner, deep in value.items():
                    self._put(known, f"{key}.{inner}", deep, suffix, saying)
            else:
                self._put(known, key, value, suffix, saying)
        errors = values.get("errors")
        if isinstance(errors, list) and errors and known:
            saying.put("fault", True)
            saying.event("device_error", {"component": component[:40], "errors": [str(e)[:60] for e in errors[:10]]})

    @staticmethod
    def _put(known: dict[str, tuple[str, str]], key: str, value: Any, suffix: str, saying: Saying) -> None:
        found = known.get(key)
        if found is None or isinstance(value, dict | list):
            return
        saying.put(found[0] + suffix, value, unit=found[1], key=key)

    @staticmethod
    def _power(values: dict[str, Any], saying: Saying) -> None:
        """A battery at nothing beside an external supply is no flat battery: there is none."""
        external = values.get("external")
        present = external.get("present") if isinstance(external, dict) else None
        if isinstance(present, bool):
            saying.put("mains_powered", present)
        battery = values.get("battery")
        if isinstance(battery, dict):
            if present is True and battery.get("percent") in (0, None):
                return
            if "percent" in battery:
                saying.put("battery_pct", battery["percent"], key="percent")
            if "V" in battery:
                saying.put("battery_v", battery["V"], key="V")

    def _event(self, event: dict[str, Any], saying: Saying) -> None:
        component, what = str(event.get("component", ""))[:40], event.get("event")
        if not isinstance(what, str):
            return
        kind = component.partition(":")[0]
        if kind in ("smoke", "flood") and what in _SMOKE_EVENTS:
            quantity, value = _SMOKE_EVENTS[what]
            saying.put("water_leak" if kind == "flood" and quantity == "smoke" else quantity, value, key=what)
        elif kind == "input":
            saying.event("button", {"component": component, "event": what[:40], "press": what[:40]})
        else:
            saying.event(what, {"component": component})

    def _blu(self, address: str, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        saying = Saying(NAME, address, address, received_at_ms, self._context.zone)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed) or not isinstance(parsed.value, dict):
            reason, detail = parsed if isinstance(parsed, Malformed) else ("not an object", short(parsed.value))
            return self._reject(saying, reason, str(detail))
        body = {str(k).lower(): v for k, v in parsed.value.items()}
        if body.get("encryption") is True:
            saying.warn("encrypted advertisement")
        for key, name in _BLU_VALUES.items():
            value = body.get(key)
            if isinstance(value, list) and value:
                for n, one in enumerate(value[:8]):
                    saying.put(name if not n else f"{name}_{n + 1}", one, key=key)
            elif key in body and not isinstance(value, dict | list):
                saying.put(name, value, key=key)
        press = body.get("button")
        for one in press[:8] if isinstance(press, list) else [press]:
            if isinstance(one, int) and not isinstance(one, bool) and 0 < one < 255:
                saying.event(
                    "button",
                    {"press": {1: "single", 2: "double", 3: "triple", 4: "long", 128: "hold"}.get(one, str(one))},
                )
        pid = body.get("pid")
        if isinstance(pid, int) and not isinstance(pid, bool) and 0 <= pid < 2**31:
            saying.fields["dedupe_key"] = f"{address}/{pid}"
        if saying.empty:
            return self._reject(saying, "no schema", "no value of a BLU device")
        return (saying.decoded(),)

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def filters(root: str) -> tuple[Filter, ...]:
    """A device's prefix is one level unless its owner wrote more: then the source says the root before it."""
    tops = (f"{root}/+",) if root else ("+",)
    rest = ("events/rpc", "status/+", "online", "rpc", "events/+")
    return (
        tuple(Filter(f"{top}/{one}") for top in tops for one in rest)
        if not root
        else (*(Filter(f"{root}/{one}") for one in rest), *(Filter(f"{root}/+/{one}") for one in rest))
    )


def root_of(topic: str) -> str:
    return ""
