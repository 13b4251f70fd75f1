"""Tasmota: telemetry, status and results of any FullTopic; meters by SML with the installer's keys; availability by LWT.

The device is what is left of the topic without `tele`/`stat`/`cmnd` and the last level, so nested and reversed topics work.
"""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.tasmota_sensors import put_energy, put_meter, put_sensor
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse, text_of
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

NAME: Final = "tasmota"
_PREFIXES: Final = ("tele", "stat", "cmnd")
_LAST: Final = re.compile(
    r"SENSOR|STATE|LWT|INFO\d?|RESULT|POWER\d*|STATUS\d*|UPTIME|HEAP|MARGINS|UPGRADE|LOGGING|WAKEUP|BUTTON\d*|SWITCH\d*|DIMMER\d*|MAIN"
)
_METERS: Final = frozenset(
    (
        "SML",
        "MT175",
        "MT681",
        "OBIS",
        "eHZ",
        "ehz",
        "EHZ",
        "Power",
        "Strom",
        "Zaehler",
        "Meter",
        "smartmeter",
        "E320",
        "DTZ541",
        "ISKRA",
        "Q3A",
        "DWS7420",
        "LK13BE",
        "eBZ",
        "EBZ",
        "EMH",
        "Easymeter",
        "EASY",
        "GS303",
        "WATER",
        "GAS",
    )
)
_ONLINE: Final = {
    "online": True,
    "offline": False,
    "on": True,
    "off": False,
    "onln": True,
    "ofln": False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
    "connected": True,
    "disconnected": False,
}
_POWER: Final = re.compile(r"POWER(\d{0,2})\Z")
_ON: Final = {"ON": True, "OFF": False, "1": True, "0": False, "on": True, "off": False}
_NAN: Final = re.compile(rb"([:,\[]\s*)(-?nan|-?inf)(?=\s*[,}\]])", re.IGNORECASE)


class TasmotaCodec:
    """Decodes topics of Tasmota devices, and their discovery. Never raises."""

    name = NAME

    def __init__(self, root: str = "", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()
        self._words: dict[str, bool] = dict(_ONLINE)  # discovery tells of further ones

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        if self.root and not topic.startswith(self.root + "/"):
            return Reject(codec=NAME, reason="unknown topic", detail=f"not under {self.root}/")
        levels = topic.split("/")
        if levels[:2] == ["tasmota", "discovery"] and len(levels) == 4:
            return self._discovery(levels[2], levels[3], payload, received_at_ms)
        prefix = next((level for level in levels if level in _PREFIXES), "")
        last = levels[-1]
        if not prefix or len(levels) < 3:
            return Reject(
                codec=NAME, reason="unknown topic", detail="no tele, stat or cmnd with a device and a message"
            )
        at = levels.index(prefix)
        device = "/".join(levels[:at] + levels[at + 1 : -1])
        if self.root and device.startswith(self.root + "/"):
            device = device[len(self.root) + 1 :]
        saying = Saying(NAME, device, device, received_at_ms, self._context.zone)
        if prefix == "cmnd":
            return (saying.decoded(ignored="command"),)
        if not _LAST.fullmatch(last):
            return (saying.decoded(ignored=f"{short(last)} is not a reading"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        if last == "LWT":
            word = text_of(payload[:64])[0].strip()
            known = self._words.get(word.lower())
            if known is None:
                return self._reject(saying, "bad availability", short(word))
            return (saying.decoded(availability=known, retained_state=True),)
        return self._body(last, payload, saying)

    def _body(self, last: str, payload: bytes, saying: Saying) -> tuple[Decoded, ...] | Reject:
        start = payload.lstrip()[:1]
        if start not in (b"{", b"["):
            word = text_of(payload[:64])[0].strip()
            power = _POWER.match(last)
            if power is not None and word in _ON:
                saying.put(_relay(power[1]), _ON[word], key=last)
                return (saying.decoded(),)
            return self._reject(saying, "no schema", f"{last} {short(word)}")
        payload, found_nan = (
            _NAN.subn(rb"\1null", payload) if b"nan" in payload.lower() or b"inf" in payload.lower() else (payload, 0)
        )
        parsed = parse(payload)
        if isinstance(parsed, Malformed):
            return self._reject(saying, parsed.reason, parsed.detail)
        body = parsed.value
        if not isinstance(body, dict):
            return self._reject(saying, "not an object", short(body))
        for warning in parsed.warnings:
            saying.warn(warning)
        if found_nan:
            saying.warn("nan literal replaced by null")
        if last.startswith("STATUS") or "StatusSNS" in body or "StatusSTS" in body:
            self._status(body, saying)
        else:
            self._values(body, saying, metered=last == "SENSOR")
        bridged = self._bridged(body.get("ZbReceived", body.get("ZbInfo")), saying)
        if bridged:
            return bridged
        if saying.empty and not saying.findings.warnings and saying.at.at_ms is None and not saying.at.local:
            return (saying.decoded(ignored=f"no reading in {last}"),)
        return (saying.decoded(),)

    def _status(self, body: dict[str, Any], saying: Saying) -> None:
        """STATUS…: answers to the Status command; sensors are in StatusSNS, states in StatusSTS."""
        for key, value in body.items():
            if not isinstance(value, dict):
                if _POWER.match(key):
                    self._values({key: value}, saying)
                continue
            if key in ("StatusSNS", "StatusSTS"):
                self._values(value, saying)
            elif key == "Status":
                self._relays(value.get("Power"), saying)
                named = value.get("DeviceName")
                if isinstance(named, str):
                    saying.fields["info"] = {"name": named[:100]}
            elif key == "StatusFWR" and isinstance(value.get("Version"), str):
                saying.fields["info"] = {**(saying.fields.get("info") or {}), "firmware": value["Version"][:60]}
            elif key == "StatusNET" and isinstance(value.get("Mac"), str):
                saying.fields["device_uid"] = value["Mac"][:40]
                saying.fields["info"] = {
                    **(saying.fields.get("info") or {}),
                    "ip": str(value.get("IPAddress", ""))[:40],
                }
            elif key == "StatusPRM" and isinstance(value.get("RestartReason"), str):
                saying.fields["info"] = {
                    **(saying.fields.get("info") or {}),
                    "restart_reason": value["RestartReason"][:80],
                }

    @staticmethod
    def _relays(power: Any, saying: Saying) -> None:
        """`Power` inside Status is the state of the relays: a number of bits once, a text of digits since."""
        if isinstance(power, str) and power and len(power) <= 32 and not set(power) - {"0", "1"}:
            bits = [c == "1" for c in power]
            # the text has the highest relay first, as a binary number has
            for n, on in enumerate(reversed(bits), 1):
                saying.put("relay_on" if len(bits) == 1 else f"relay_on_{n}", on)
        elif isinstance(power, int) and not isinstance(power, bool) and 0 <= power < 2**32:
            if power <= 1:
                saying.put("relay_on", bool(power))
            else:
                for n in range(power.bit_length()):
                    saying.put(f"relay_on_{n + 1}", bool(power >> n & 1))

    def _values(self, body: dict[str, Any], saying: Saying, *, metered: bool = True) -> None:
        if body.get("Time") is not None:
            saying.time(body["Time"])
        fahrenheit = body.get("TempUnit") in ("F", "°F")
        pressure = {"mmHg": "mmHg", "inHg": "inHg"}.get(str(body.get("PressureUnit")), "")
        alike = _alike(body)
        for key, value in list(body.items())[:300]:
            power = _POWER.match(key)
            if power is not None and isinstance(value, str | int | bool):
                saying.put(_relay(power[1]), _ON.get(str(value), value), key=key)
            elif key == "ENERGY" and isinstance(value, dict):
                put_energy(value, saying)
            elif key == "Wifi" and isinstance(value, dict):
                if "Signal" in value:
                    saying.put("rssi_dbm", value["Signal"], key="Signal")
            elif key.startswith("Info") and isinstance(value, dict):
                self._information(key, value, saying)
            elif isinstance(value, dict) and key not in ("ZbReceived", "ZbInfo"):
                suffix = f"_{key}" if key in alike else ""
                if not put_sensor(key, value, saying, suffix, fahrenheit, pressure) and metered:
                    put_meter(value, saying)
            elif re.match(r"Switch\d+\Z", key) and isinstance(value, str):
                saying.put(
                    f"input_{int(key[6:]) - 1}" if key[6:] != "0" else "input_0", _ON.get(value.upper(), value), key=key
                )
            elif key == "Vcc":
                saying.put("supply_voltage_v", value)
            elif key == "UptimeSec":
                saying.put("uptime_s", value)

    def _bridged(self, devices: Any, saying: Saying) -> tuple[Decoded, ...]:
        """Zigbee devices behind a bridge: each a device of its own, by its name or its short address."""
        said = []
        for address, values in list(devices.items())[:50] if isinstance(devices, dict) else []:
            if not isinstance(values, dict):
                continue
            name = values.get("Name", values.get("Device", address))
            name = name[:64] if isinstance(name, str) and name else str(address)[:64]
            own = Saying(NAME, f"{saying.device}/{name}", name, saying.received_at_ms, saying.zone)
            own.at = saying.at
            own.fields["gateway"] = saying.device
            own.fields["device_uid"] = str(values.get("IEEEAddr", values.get("Device", address)))[:40]
            power = values.get("Power")
            if power in (0, 1):  # of a switch; watts are ActivePower
                own.put("relay_on", bool(power))
            put_sensor(name, {k: v for k, v in values.items() if k != "Power"}, own, "", False, "")
            said.append(own.decoded())
        return tuple(said)

    @staticmethod
    def _information(key: str, value: dict[str, Any], saying: Saying) -> None:
        reason = value.get("RestartReason")
        if reason is not None:
            text = reason if isinstance(reason, str) else reason.get("Reason") if isinstance(reason, dict) else None
            saying.event("restart", {"reason": str(text)[:100]} if text else None)
        about = {name: value[field] for name, field in (("firmware", "Version"), ("model", "Module"), ("ip", "IPAddress"), ("hostname", "Hostname"))
                 if isinstance(value.get(field), str)}  # fmt: skip
        if about:
            saying.fields["info"] = {**(saying.fields.get("info") or {}), **about}

    def _discovery(self, mac: str, part: str, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        saying = Saying(NAME, mac, mac, received_at_ms)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        parsed = parse(payload)
        if isinstance(parsed, Malformed) or not isinstance(parsed.value, dict):
            return self._reject(saying, "malformed JSON", "discovery")
        body = parsed.value
        if part == "config":
            for key, online in (("onln", True), ("ofln", False)):
                word = body.get(key)
                if isinstance(word, str) and 0 < len(word) <= 64 and len(self._words) < 256:
                    self._words.setdefault(word.lower(), online)
            topic = body.get("t")
            if isinstance(topic, str) and topic:
                saying.device, saying.address = topic[:128], f"{NAME}:{topic[:128]}"
            saying.fields["device_uid"] = str(body.get("mac", mac))[:40]
            info = {name: body[key] for name, key in (("name", "dn"), ("model", "md"), ("firmware", "sw"), ("ip", "ip"), ("full_topic", "ft"))
                    if isinstance(body.get(key), str)}  # fmt: skip
            saying.fields["info"] = info or None
            return (saying.decoded(retained_state=True),)
        return (saying.decoded(ignored="description of the sensors"),)

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def _alike(body: dict[str, Any]) -> set[str]:
    """Sensors that say the same as another one in the message: their readings carry the sensor's name."""
    groups = {
        k: v
        for k, v in body.items()
        if isinstance(v, dict) and k not in ("ENERGY", "Wifi") and not k.startswith("ESP32")
    }
    offers: dict[str, list[str]] = {}
    for group, values in groups.items():
        for key in values:
            if key in ("Temperature", "Humidity", "Pressure", "DewPoint", "Illuminance"):
                offers.setdefault(key, []).append(group)
    return {group for several in offers.values() if len(several) > 1 for group in several}


def _relay(number: str) -> str:
    return "relay_on" if number in ("", "0") else f"relay_on_{int(number)}"


def filters(root: str) -> tuple[Filter, ...]:
    if root:
        return (Filter(f"{root}/#"),)
    return (Filter("tele/#"), Filter("stat/#"), Filter("+/tele/+"), Filter("+/stat/+"), Filter("tasmota/discovery/#"))


def root_of(topic: str) -> str:
    return ""
