"""OCPP over a bridge: a charge point's messages as JSON, or its state as one value per topic. 1.6 and 2.0.1."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object, text_of
from hub.ingest.saying import Saying, masked
from hub.ingest.topics import Filter
from hub.ingest.values import named, short
from hub.model.readings import Decoded, Reject

NAME: Final = "ocpp-mqtt"
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\Z")
_MOST: Final = 500
STATUS: Final = {
    "available": ("available", False), "preparing": ("preparing", True), "charging": ("charging", True), "suspendedev": ("suspended", True),
    "suspendedevse": ("suspended", True), "finishing": ("finished", True), "reserved": ("unavailable", None), "unavailable": ("unavailable", None),
    "faulted": ("faulted", None), "occupied": ("preparing", True), "evconnected": ("preparing", True), "idle": ("available", False),
}  # fmt: skip
# measurand → (name, unit if none is said, whether it goes by phase)
_MEASURANDS: Final = {
    "Energy.Active.Import.Register": ("energy_import_kwh", "Wh"), "Energy.Active.Export.Register": ("energy_export_kwh", "Wh"),
    "Power.Active.Import": ("power_w", "W"), "Power.Active.Export": ("power_export_w", "W"), "Power.Reactive.Import": ("reactive_power_var", "var"),
    "Current.Import": ("current_a", "A"), "Current.Export": ("current_export_a", "A"), "Current.Offered": ("current_limit_a", "A"),
    "Power.Offered": ("power_offered_w", "W"), "Voltage": ("voltage_v", "V"), "Frequency": ("frequency_hz", "Hz"), "SoC": ("soc_pct", "%"),
    "Temperature": ("device_temperature_c", "Celsius"), "Power.Factor": ("power_factor", ""), "Energy.Active.Import.Interval": ("energy_interval_kwh", "Wh"),
    "RPM": ("fan_rpm", ""),
}  # fmt: skip
_STATES: Final = {"power": "power_w", "energy": "energy_import_kwh", "current": "current_a", "voltage": "voltage_v", "soc": "soc_pct",
                  "temperature": "device_temperature_c", "meter": "energy_import_kwh"}  # fmt: skip


class OcppCodec:
    """Decodes `{root}/<charge point>/…`. Never raises."""

    name = NAME

    def __init__(self, root: str = "ocpp", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        levels = topic[len(self.root) + 1 :].split("/") if topic.startswith(self.root + "/") else []
        if len(levels) < 2 or not levels[0] or len(levels) > 8:
            return Reject(codec=NAME, reason="unknown topic", detail=f"no charge point below {self.root}/")
        saying = Saying(NAME, levels[0], levels[0], received_at_ms, self._context.zone)
        if len(payload) > MAX_BYTES:
            return self._reject(saying, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if levels[1] in ("cmd", "command", "set", "request") or levels[-1] in ("set", "cmd"):
            return (saying.decoded(ignored="command"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        if payload.lstrip()[:1] not in (b"{", b"["):
            return self._bare(levels, payload, saying)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return self._reject(saying, parsed.reason, parsed.detail)
        for warning in parsed.warnings:
            saying.warn(warning)
        body = parsed.value
        if isinstance(body, list):  # an OCPP-J frame: [2, id, action, payload]
            if len(body) == 4 and body[0] == 2 and isinstance(body[2], str) and isinstance(body[3], dict):
                saying.fields["dedupe_key"] = str(body[1])[:128]
                return self._message(body[2], body[3], saying)
            return (saying.decoded(ignored="answer"),)
        if not isinstance(body, dict):
            return self._reject(saying, "not an object", short(body))
        action = next(
            (body[k] for k in ("command", "action", "messageType", "type", "event") if isinstance(body.get(k), str)), ""
        )
        inner = next((body[k] for k in ("data", "payload", "params") if isinstance(body.get(k), dict)), None)
        if not action and inner is None and levels[-1][:1].isupper():
            action, inner = levels[-1], body
        return self._message(action or levels[-1], inner if inner is not None else body, saying)

    def _bare(self, levels: list[str], payload: bytes, saying: Saying) -> tuple[Decoded, ...] | Reject:
        text = text_of(payload[:256])[0].strip()
        key = levels[-1].lower()
        connector = next((int(level) for level in levels[1:-1] if level.isdecimal() and len(level) < 3), 0)
        if key in ("status", "state", "connector_status") and text.lower() in STATUS:
            self._status(text, connector, saying)
            return (saying.decoded(retained_state=True),)
        if key in ("online", "connected", "availability", "connection") and text.lower() in (
            "online",
            "offline",
            "true",
            "false",
            "connected",
            "disconnected",
            "1",
            "0",
        ):
            return (
                saying.decoded(availability=text.lower() in ("online", "true", "connected", "1"), retained_state=True),
            )
        if key in ("heartbeat", "last_seen"):
            saying.time(text)
            return (saying.decoded(availability=True),)
        if _NUMBER.match(text) and len(text) <= 40:
            number = float(text) if any(c in text for c in ".eE") else int(text)
            known = named(key)
            name = _STATES.get(key) or _MEASURANDS.get(levels[-1], ("", ""))[0] or (known[0] if known else "")
            unit = (
                _MEASURANDS[levels[-1]][1]
                if levels[-1] in _MEASURANDS
                else known[1]
                if known and not _STATES.get(key)
                else ""
            )
            saying.put(
                name + _channel(connector) if name else levels[-1][:60],
                number,
                unit=unit if name else "",
                key=levels[-1],
            )
            return (saying.decoded(),)
        if text.lower() in STATUS or key in ("status", "state"):
            return self._reject(saying, "bad value", f"{key} is {short(text)}")
        return (saying.decoded(ignored=f"{short(key)} is not a reading"),)

    def _message(self, action: str, data: dict[str, Any], saying: Saying) -> tuple[Decoded, ...] | Reject:
        evse = data.get("evse")
        connector = data.get("connectorId", data.get("evseId", evse.get("id") if isinstance(evse, dict) else 0))
        connector = (
            connector if isinstance(connector, int) and not isinstance(connector, bool) and 0 <= connector < 100 else 0
        )
        at = data.get("timestamp")
        if isinstance(at, str | int | float):
            saying.time(at)
        meter = data.get("meterValue")
        match action:
            case "MeterValues" | "TransactionEvent":
                self._meter(meter, connector, saying)
                if action == "TransactionEvent":
                    self._transaction(data, connector, saying)
            case "StatusNotification":
                status = data.get("status", data.get("connectorStatus"))
                if isinstance(status, str):
                    self._status(status, connector, saying)
                error = data.get("errorCode")
                if isinstance(error, str) and error not in ("NoError", ""):
                    saying.put("fault" + _channel(connector), True, key="errorCode")
                    saying.event(
                        "device_error", {"code": error[:60], "text": _short(data.get("info")), "port": connector}
                    )
                elif error == "NoError":
                    saying.put("fault" + _channel(connector), False, key="errorCode")
            case "StartTransaction":
                saying.put("charger_state" + _channel(connector), "charging")
                saying.event("charge_start", {"port": connector, "card": self._card(data.get("idTag"))})
            case "StopTransaction":
                saying.put("charger_state" + _channel(connector), "finished")
                if isinstance(data.get("meterStop"), int | float):
                    saying.put("energy_import_kwh" + _channel(connector), data["meterStop"], unit="Wh", key="meterStop")
                saying.event("charge_end", {"port": connector, "reason": _short(data.get("reason"))})
            case "BootNotification":
                station = data.get("chargingStation")
                about = station if isinstance(station, dict) else data
                info = {"vendor": about.get("chargePointVendor", about.get("vendorName")), "model": about.get("chargePointModel", about.get("model")),
                        "firmware": about.get("firmwareVersion")}  # fmt: skip
                saying.fields["info"] = {k: v[:60] for k, v in info.items() if isinstance(v, str)} or None
                saying.fields["availability"] = True
                saying.event("restart", {"reason": _short(data.get("reason"))})
            case "Heartbeat" | "heartbeat":
                saying.fields["availability"] = True
            case "Authorize":
                saying.event("authorize", {"card": self._card(data.get("idTag"))})
            case (
                "SecurityEventNotification"
                | "NotifyEvent"
                | "DiagnosticsStatusNotification"
                | "FirmwareStatusNotification"
                | "LogStatusNotification"
                | "DataTransfer"
            ):
                saying.event(action, {"text": _short(data.get("type", data.get("status")))})
            case _:
                if isinstance(meter, list):
                    self._meter(meter, connector, saying)
                elif isinstance(data.get("status"), str):
                    self._status(data["status"], connector, saying)
                if saying.empty:
                    return self._reject(saying, "no schema", f"message {short(action)}")
        return (saying.decoded(),)

    def _card(self, card: Any) -> str | None:
        if not isinstance(card, str):
            return None
        return card[:64] if self._context.personal else masked(card)

    def _status(self, status: str, connector: int, saying: Saying) -> None:
        known = STATUS.get(status.lower())
        suffix = _channel(connector)
        if known is None:
            saying.warn(f"status {short(status)} is not known")
            saying.unknown("charger_state" + suffix)
            return
        saying.put("charger_state" + suffix, known[0], key="status")
        if known[1] is None:
            saying.unknown("charger_connected" + suffix)
        else:
            saying.put("charger_connected" + suffix, known[1])

    def _transaction(self, data: dict[str, Any], connector: int, saying: Saying) -> None:
        info = data.get("transactionInfo")
        state = info.get("chargingState") if isinstance(info, dict) else None
        if isinstance(state, str):
            self._status(state, connector, saying)
        kind = {"Started": "charge_start", "Ended": "charge_end"}.get(str(data.get("eventType")))
        if kind:
            saying.event(kind, {"port": connector, "reason": _short(data.get("triggerReason"))})

    def _meter(self, groups: Any, connector: int, saying: Saying) -> None:
        for group in groups[:_MOST] if isinstance(groups, list) else [groups]:
            if not isinstance(group, dict):
                continue
            at = saying.instant(group.get("timestamp"))
            if at.at_ms is not None:
                saying.at = at
            samples = group.get("sampledValue")
            for sample in samples[:_MOST] if isinstance(samples, list) else []:
                if isinstance(sample, dict):
                    self._sample(sample, connector, saying, at.at_ms)

    @staticmethod
    def _sample(sample: dict[str, Any], connector: int, saying: Saying, at_ms: int | None) -> None:
        measurand = sample.get("measurand", "Energy.Active.Import.Register")
        known = _MEASURANDS.get(measurand) if isinstance(measurand, str) else None
        value, given = sample.get("value"), sample.get("unit")
        multiple = sample.get("unitOfMeasure")
        if isinstance(multiple, dict):
            given = multiple.get("unit", given)
            power = multiple.get("multiplier", 0)
            if (
                isinstance(value, int | float)
                and isinstance(power, int)
                and not isinstance(power, bool)
                and -12 <= power <= 12
            ):
                value = value * 10**power
        if known is None:
            return
        name, usual = known
        phase = re.match(r"L([123])", str(sample.get("phase", "")))
        suffix = f"_l{phase[1]}" if phase is not None else ""
        if sample.get("format") == "SignedData":
            return
        if isinstance(value, str) and name not in ("energy_import_kwh",) and _NUMBER.match(value.strip()):
            value = float(value)
        unit = given if isinstance(given, str) and given else usual
        if name == "device_temperature_c":
            if isinstance(value, int | float) and unit in ("Fahrenheit", "K"):
                value = round((value - 32) * 5 / 9 if unit == "Fahrenheit" else value - 273.15, 6)
            unit = ""
        if unit == "Percent":
            unit = "%"
        saying.put(name + suffix + _channel(connector), value, unit=unit, key=str(measurand), at_ms=at_ms)

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def _channel(connector: int) -> str:
    """The first connector, and the whole point, have the plain names."""
    return f"_ch{connector}" if connector > 1 else ""


def _short(value: Any) -> str | None:
    return str(value)[:100] if isinstance(value, str | int | float) else None


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    return topic.split("/")[0]
