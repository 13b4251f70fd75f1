"""Dahua door stations over a bridge (DahuaVTO2MQTT): events by their code. The UTC field is wrong on firmwares that store local time in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.instants import instant
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.saying import Saying, masked
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

NAME: Final = "dahua-vto2mqtt"
_METHODS: Final = {
    0: "password",
    1: "card",
    3: "password",
    4: "remote",
    5: "button",
    6: "fingerprint",
    15: "face",
    16: "face",
    17: "id_card",
}


class DahuaVtoCodec:
    """Decodes `{root}/<code>/Event`. Never raises. Passwords in the payload are never repeated."""

    name = NAME

    def __init__(self, root: str = "DahuaVTO", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        levels = topic[len(self.root) + 1 :].split("/") if topic.startswith(self.root + "/") else []
        if not levels or not levels[0] or len(levels) > 4:
            return Reject(codec=NAME, reason="unknown topic", detail=f"no event below {self.root}/")
        saying = Saying(NAME, self.root, self.root, received_at_ms, self._context.zone)
        if len(payload) > MAX_BYTES:
            return self._reject(saying, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if levels[-1] in ("Command", "set"):
            return (saying.decoded(ignored="command"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return self._reject(saying, parsed.reason, parsed.detail)
        body = parsed.value
        if not isinstance(body, dict):
            return self._reject(saying, "not an object", short(body))
        data = body.get("Data")
        data = data if isinstance(data, dict) else {}
        self._time(data, saying)
        code = levels[0] if levels[-1] == "Event" or len(levels) == 1 else "/".join(levels)
        if code == "AccessControl":
            self._access(data, saying)
        elif code == "DoorStatus":
            state = data.get("Status")
            saying.put(
                "door_open",
                {"Open": True, "Close": False, "Opened": True, "Closed": False}.get(str(state), state),
                key="Status",
            )
        elif code in ("AlarmLocal", "ProfileAlarmTransmit", "Tamper", "VTSAlarm"):
            active = {"Start": True, "Stop": False, "Pulse": True}.get(str(body.get("Action")))
            if code == "Tamper" and active is not None:
                saying.put("tamper", active, key=code)
            saying.event("device_alarm", {"code": code, "sense": _text(data.get("SenseMethod"))}, active=active)
        elif code in (
            "CallNoAnswered",
            "Invite",
            "IgnoreInvite",
            "PhoneCallDisconnect",
            "HungupPhone",
            "Hangup",
            "BackKeyLight",
            "CallSnap",
        ):
            saying.event(
                "doorbell" if code in ("CallNoAnswered", "Invite", "CallSnap") else "door_station",
                {"code": code, "state": _text(data.get("State"))},
            )
        else:
            saying.event("door_station", {"code": code[:60], "action": _text(body.get("Action"))})
        return (saying.decoded(),)

    def _access(self, data: dict[str, Any], saying: Saying) -> None:
        status, method = data.get("Status"), data.get("Method")
        result = {1: "granted", 0: "denied"}.get(status, "unknown") if isinstance(status, int) else "unknown"
        record = data.get("RecNo")
        detail = {
            "result": result,
            "method": method if isinstance(method, int) else None,
            "credential": _METHODS.get(method) if isinstance(method, int) else None,
            "direction": {"Entry": "in", "Exit": "out"}.get(str(data.get("Type"))),
            "record_id": str(record)[:40] if isinstance(record, str | int) else None,
            "card": self._personal(data.get("CardNo")),
            "user": self._personal(data.get("UserID")),
            "reader": _text(data.get("ReaderID")),
        }
        saying.put("access_result", result, key="Status")
        saying.event("access", detail)
        if detail["record_id"]:
            saying.fields["dedupe_key"] = f"{saying.device}/{detail['record_id']}"

    def _personal(self, value: Any) -> str | None:
        if not isinstance(value, str) or not value:
            return None
        return value[:64] if self._context.personal else masked(value)

    @staticmethod
    def _time(data: dict[str, Any], saying: Saying) -> None:
        """UTC, unless it reads as the wall clock beside it: then it is that, and only the site's zone can tell."""
        utc, local = data.get("UTC"), data.get("LocaleTime")
        wall = instant(local, saying.received_at_ms, saying.zone) if isinstance(local, str) else None
        if isinstance(utc, int) and not isinstance(utc, bool) and 0 < utc < 10**11 and wall is not None and wall.local:
            if datetime.fromtimestamp(utc, UTC).replace(tzinfo=None).isoformat()[:16] == wall.local[:16]:
                saying.at = wall
                saying.warn("UTC is the wall clock: the firmware stores local time in it")
                return
            saying.time(utc)
            saying.at = saying.at._replace(local=wall.local)
        elif isinstance(utc, int) and not isinstance(utc, bool):
            saying.time(utc)
        elif wall is not None:
            saying.at = wall

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def _text(value: Any) -> str | None:
    return str(value)[:60] if isinstance(value, str | int | float) and value != "" else None


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    return topic.split("/")[0]
