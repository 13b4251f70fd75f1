"""The thing models of Chinese clouds: Alink, OneNET (new and old), Huawei IoTDA and ROMA, Tuya Link, Tencent, JetLinks.

One shape in six coats: names to values, `{value, time}` or lists of these, for a device or for the devices behind a gateway. Names
are the integrator's, so common names are taken and all others are kept as they are. Topics that begin with $ need a
subscription of their own, which `filters` declares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

_MOST_DEVICES: Final = 500
_MOST_VALUES: Final = 1_000
_DATED: Final = ("value", "time"), ("v", "t"), ("value", "ts"), ("value", "timestamp"), ("v", "time")
# Tuya's standard names, whose scale is that of its product models
_TUYA: Final = {"cur_power": ("power_w", 0.1), "cur_voltage": ("voltage_v", 0.1), "cur_current": ("current_a", 0.001),
                "add_ele": ("energy_import_kwh", 0.001), "va_temperature": ("temperature_c", 0.1), "va_humidity": ("humidity_pct", 1.0),
                "battery_percentage": ("battery_pct", 1.0), "temp_current": ("temperature_c", 0.1), "humidity_value": ("humidity_pct", 1.0),
                "smoke_sensor_value": ("smoke_density", 0.1), "total_forward_energy": ("energy_import_kwh", 0.01)}  # fmt: skip
_TUYA_WORDS: Final = {
    "smoke_sensor_status": ("smoke", {"alarm": True, "1": True, "normal": False, "2": False}),
    "smoke_sensor_state": ("smoke", {"alarm": True, "normal": False, "1": True, "0": False}),
    "gas_sensor_status": ("gas_alarm", {"alarm": True, "normal": False, "1": True, "2": False}),
    "gas_sensor_state": ("gas_alarm", {"alarm": True, "normal": False}),
    "co_status": ("co_alarm", {"alarm": True, "normal": False, "1": True, "2": False}),
    "watersensor_state": ("water_leak", {"alarm": True, "normal": False, "1": True, "2": False}),
    "doorcontact_state": ("door_open", {"true": True, "false": False}),
    "pir": ("occupancy", {"pir": True, "none": False}),
    "presence_state": ("occupancy", {"presence": True, "none": False}),
    "battery_state": ("battery_low", {"low": True, "middle": False, "high": False}),
    "switch_1": ("relay_on", {"true": True, "false": False}), "switch": ("relay_on", {"true": True, "false": False}),
    "temper_alarm": ("tamper", {"true": True, "false": False}),
}  # fmt: skip
_NAMES: Final = {
    "totalactiveenergy": ("energy_import_kwh", ""), "activeenergy": ("energy_import_kwh", ""), "activepower": ("power_w", ""),
    "totalactivepower": ("power_w", ""), "electricenergy": ("energy_import_kwh", ""), "powerconsumption": ("energy_import_kwh", ""),
    "batterypercentage": ("battery_pct", ""), "smokesensorstate": ("smoke", ""), "gassensorstate": ("gas_alarm", ""),
    "watersensorstate": ("water_leak", ""), "waterleachstate": ("water_leak", ""), "contactstate": ("door_open", ""), "currenttemperature": ("temperature_c", ""),
    "currenthumidity": ("humidity_pct", ""), "indoortemperature": ("temperature_c", ""), "relativehumidity": ("humidity_pct", ""),
    "powerswitch": ("relay_on", ""), "tamperstate": ("tamper", ""), "tamperalarm": ("tamper", ""), "leakagecurrent": ("residual_current_ma", "mA"),
    "residualcurrent": ("residual_current_ma", "mA"), "phasevoltagea": ("voltage_v_l1", ""), "phasevoltageb": ("voltage_v_l2", ""), "phasevoltagec": ("voltage_v_l3", ""),
    "ua": ("voltage_v_l1", ""), "ub": ("voltage_v_l2", ""), "uc": ("voltage_v_l3", ""), "ia": ("current_a_l1", ""), "ib": ("current_a_l2", ""), "ic": ("current_a_l3", ""),
    "temp": ("temperature_c", ""),
}  # fmt: skip

Found = tuple[str, str, str, dict[str, Any], Any, bool]
"""(device, its uid, gateway, names to values, time, whether it is history)."""


class ThingModelCodec:
    """Decodes one cloud's topics below `root`. Never raises."""

    def __init__(self, dialect: Dialect, root: str, context: CodecContext | None = None) -> None:
        self.name, self.root, self._dialect = dialect.name, root, dialect
        self._context = context or CodecContext()
        self._zone = self._context.zone

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=self.name, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        rest = (
            topic[len(self.root) + 1 :]
            if self.root and topic.startswith(self.root + "/")
            else ""
            if self.root
            else topic
        )
        found = self._dialect.topic.match(rest) if rest and len(rest) <= 1_024 else None
        if found is None:
            return Reject(
                codec=self.name, reason="unknown topic", detail=f"no topic of {self.name} below {self.root!r}"
            )
        names = {k: v for k, v in found.groupdict().items() if v}
        device, product, kind = names.get("device", ""), names.get("product", ""), names.get("kind", "")
        uid = f"{product}/{device}" if product else device
        saying = Saying(self.name, uid, device, received_at_ms, self._zone)
        if self._dialect.ignored.search(kind):
            return (saying.decoded(ignored="answer, command or setting"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return Reject(
                codec=self.name, reason=parsed.reason, detail=parsed.detail, device=device, address=saying.address
            )
        body = parsed.value
        if not isinstance(body, dict):
            return Reject(
                codec=self.name, reason="not an object", detail=short(body), device=device, address=saying.address
            )
        if self._dialect.presence is not None:
            online = self._dialect.presence(kind, body)
            if online is not None:
                return (saying.decoded(availability=online),)
        said: dict[tuple[str, bool], Saying] = {}
        for one, its_uid, gateway, values, at, history in self._dialect.read(
            body, kind, device, product, names.get("child", "")
        ):
            key = (its_uid or one, False)
            own = said.get(key)
            if own is None:
                if len(said) >= _MOST_DEVICES:
                    saying.warn(f"more than {_MOST_DEVICES} devices: the rest is left out")
                    break
                own = said[key] = Saying(self.name, its_uid or one, one, received_at_ms, self._zone)
                own.fields["device_uid"] = (its_uid or one)[:128]
                if gateway and gateway != one:
                    own.fields["gateway"] = gateway
                for warning in parsed.warnings:
                    own.warn(warning)
            self._values(values, at, history, own)
        identity = body.get("id", body.get("msgId", body.get("clientToken")))
        for own in said.values():
            if (
                isinstance(identity, str | int)
                and not isinstance(identity, bool)
                and len(said) == 1
                and own.at.at_ms is not None
            ):
                own.fields["dedupe_key"] = str(identity)[:128]
        events = [e for e in (self._dialect.event(body, kind) if self._dialect.event else ()) if e]
        if events:
            own = said.setdefault((uid, False), saying)
            if self._dialect.event_time is not None:
                own.time(self._dialect.event_time(body))
            for event, detail in events:
                own.event(event, detail)
                self._values({k: v for k, v in detail.items() if not isinstance(v, dict | list)}, None, False, own)
        kept = [own for own in said.values() if not own.empty or own.findings.warnings]
        if not kept:
            if said or "params" in body or "properties" in body or "data" in body:
                return (saying.decoded(ignored="no values"),)
            return Reject(
                codec=self.name,
                reason="no schema",
                detail="no properties in the message",
                device=device,
                address=saying.address,
            )
        return tuple(own.decoded() for own in kept)

    def _values(self, values: dict[str, Any], at: Any, history: bool, saying: Saying) -> None:
        """Names to values: bare, with a time, or a list of such."""
        if at is not None and not history:
            saying.time(at)
        outer = saying.instant(at) if at is not None and history else saying.at
        live = saying.findings
        if history:
            saying.findings = type(live)()
        latest = None
        for n, (name, value) in enumerate(values.items()):
            if n >= _MOST_VALUES:
                break
            entries = value if isinstance(value, list) and value and all(_dated(e) for e in value[:5]) else [value]
            for entry in entries[:_MOST_VALUES]:
                pair = _dated(entry)
                when = outer.at_ms
                if pair is not None:
                    entry = pair[0]
                    if pair[1] is not None:
                        own = saying.instant(pair[1])
                        when = own.at_ms or when
                        if own.at_ms is not None and (latest is None or own.at_ms > latest):
                            latest = own.at_ms
                self._put(name[:100], entry, saying, when)
        if history:
            warnings = saying.findings.warnings
            saying.to_history()
            live.warnings.extend(warnings)
            saying.findings = live
        elif latest is not None and saying.at.at_ms is None:
            saying.at = saying.at._replace(at_ms=latest)

    def _put(self, name: str, value: Any, saying: Saying, at_ms: int | None) -> None:
        if isinstance(value, dict):
            return
        if isinstance(value, list):
            return
        lower = name.lower()
        if self._dialect.tuya and lower in _TUYA and isinstance(value, int | float) and not isinstance(value, bool):
            quantity, factor = _TUYA[lower]
            saying.put(quantity, round(value * factor, 6), key=name, at_ms=at_ms)
        elif self._dialect.tuya and lower in _TUYA_WORDS:
            quantity, words = _TUYA_WORDS[lower]
            saying.put(quantity, words.get(str(value).lower(), value), key=name, at_ms=at_ms)
        elif lower.replace("_", "") in _NAMES:
            quantity, unit = _NAMES[lower.replace("_", "")]
            saying.put(quantity, value, unit=unit, key=name, at_ms=at_ms)
        else:
            saying.put_named(name, value, at_ms=at_ms)


def _dated(entry: Any) -> tuple[Any, Any] | None:
    """{"value": …, "time": …} as a pair, or None."""
    if not isinstance(entry, dict) or len(entry) > 4:
        return None
    for value, time in _DATED:
        if value in entry and (time in entry or len(entry) == 1):
            return entry[value], entry.get(time)
    return None


class Dialect:
    """How one cloud writes it."""

    def __init__(
        self,
        name: str,
        topic: str,
        read: Callable[[dict[str, Any], str, str, str, str], Iterator[Found]],
        filters: Callable[[str], tuple[Filter, ...]],
        *,
        usual_root: str,
        ignored: str = r"(?:_reply|/reply|accepted|rejected|/set\Z|desired|/response|/commands)",
        presence: Callable[[str, dict[str, Any]], bool | None] | None = None,
        event: Callable[[dict[str, Any], str], list[tuple[str, dict[str, Any]]]] | None = None,
        event_time: Callable[[dict[str, Any]], Any] | None = None,
        tuya: bool = False,
    ) -> None:
        self.name, self.topic, self.read, self.filters, self.usual_root = (
            name,
            re.compile(topic),
            read,
            filters,
            usual_root,
        )
        self.ignored, self.presence, self.event, self.event_time, self.tuya = (
            re.compile(ignored),
            presence,
            event,
            event_time,
            tuya,
        )

    def make(self, root: str, context: CodecContext) -> ThingModelCodec:
        return ThingModelCodec(self, root, context)

    def root_of(self, topic: str) -> str:
        if self.usual_root and topic.startswith(self.usual_root + "/"):
            return self.usual_root
        if topic.startswith("/"):
            return "/".join(topic.split("/")[:2]) if self.usual_root else ""
        return topic.split("/")[0] if self.usual_root else ""


def sub_devices(entries: Any, gateway: str) -> Iterator[Found]:
    """Devices behind a gateway: [{identity, properties, events}]."""
    for entry in entries[:_MOST_DEVICES] if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            continue
        identity = entry.get("identity")
        identity = identity if isinstance(identity, dict) else {}
        name = identity.get("deviceName", entry.get("deviceName"))
        product = identity.get("productKey", identity.get("productID", entry.get("productKey", "")))
        properties = entry.get("properties", entry.get("params"))
        if isinstance(name, str) and name and isinstance(properties, dict):
            uid = f"{product}/{name}" if isinstance(product, str) and product else name
            yield name[:128], uid[:128], gateway, properties, None, False


def whole(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
