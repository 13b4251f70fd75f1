"""The Things Stack v3: uplinks and joins of devices. Normalized payloads are preferred; a decoded empty frame is not believed."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.chirpstack import bytes_of, put_radio
from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.lorawan_objects import put_history, put_normalized, put_object
from hub.ingest.codecs.milesight_raw import decode_bytes
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

NAME: Final = "tts-v3"
_TOPIC: Final = re.compile(r"([^/]+)/devices/([^/]+)/(.+)\Z")


class TheThingsStackCodec:
    """Decodes `{root}/<application>@<tenant>/devices/<id>/…`. Never raises."""

    name = NAME

    def __init__(self, root: str = "v3", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        found = _TOPIC.match(topic[len(self.root) + 1 :]) if topic.startswith(self.root + "/") else None
        if found is None:
            return Reject(
                codec=NAME, reason="unknown topic", detail=f"expected {self.root}/<application>/devices/<id>/…"
            )
        application, device, kind = found.groups()
        saying = Saying(NAME, f"{application.split('@')[0]}/{device}", device, received_at_ms, self._context.zone)
        if len(payload) > MAX_BYTES:
            return self._reject(saying, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if kind.startswith("down/") or kind == "down":
            return (saying.decoded(ignored="downlink"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return self._reject(saying, parsed.reason, parsed.detail)
        body = parsed.value
        if not isinstance(body, dict):
            return self._reject(saying, "not an object", short(body))
        for warning in parsed.warnings:
            saying.warn(warning)
        ids = body.get("end_device_ids")
        if isinstance(ids, dict):
            if isinstance(ids.get("device_id"), str) and ids["device_id"]:
                saying.device = ids["device_id"][:128]
            if isinstance(ids.get("dev_eui"), str):
                saying.fields["device_uid"] = ids["dev_eui"][:64].lower()
        saying.time(body.get("received_at"))
        if kind == "up":
            return self._uplink(body, saying)
        if kind == "join":
            saying.event("device_joined")
        elif kind == "location/solved":
            solved = body.get("location_solved")
            where = solved.get("location") if isinstance(solved, dict) else None
            for key, name in (("latitude", "latitude"), ("longitude", "longitude"), ("altitude", "altitude_m")):
                if isinstance(where, dict) and isinstance(where.get(key), int | float):
                    saying.put(name, where[key])
        elif kind == "service/data":
            return (saying.decoded(ignored="event of a modem service"),)
        else:
            return self._reject(saying, "unknown topic", f"kind {short(kind)}")
        return (saying.decoded(),)

    def _uplink(self, body: dict[str, Any], saying: Saying) -> tuple[Decoded, ...] | Reject:
        up = body.get("uplink_message")
        if not isinstance(up, dict):
            return self._reject(saying, "missing field", "uplink_message is missing")
        if not up.get("f_port") and not up.get("frm_payload"):
            return self._reject(
                saying, "empty frame", "no f_port and no frm_payload: a formatter decoded an empty frame"
            )
        port = up.get("f_port", 0)
        put_radio(up.get("rx_metadata"), saying)
        count = up.get("f_cnt", 0)
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**63:
            saying.fields["seq"] = count
        ids = body.get("correlation_ids")
        if isinstance(ids, list) and body.get("uplink_token") is None:
            unique = next((i for i in ids if isinstance(i, str) and i.startswith("gs:uplink:")), "")
            if unique:
                saying.fields["dedupe_key"] = unique[:128]
        version = up.get("version_ids")
        model = version.get("model_id") if isinstance(version, dict) else ""
        model = model.upper() if isinstance(model, str) else ""
        if model:
            saying.fields["info"] = {"model": model[:64], "vendor": str(version.get("brand_id", ""))[:64]}  # type: ignore[union-attr]
        normalized = up.get("normalized_payload")
        entries = normalized if isinstance(normalized, list) else [normalized]
        known = [e for e in entries[:100] if isinstance(e, dict)]
        before = len(saying.findings.readings)
        for entry in known:
            put_normalized(
                entry.get("measurement", entry) if isinstance(entry.get("measurement"), dict) else entry, saying
            )
        if known and len(saying.findings.readings) > before:
            return (saying.decoded(),)
        found = up.get("decoded_payload")
        if isinstance(found, dict):
            put_history(found.get("history"), saying, model)
            put_object(found, saying, model)
            return (saying.decoded(),)
        data = bytes_of(up.get("frm_payload"))
        if (
            data
            and port == 85
            and (
                (saying.fields.get("device_uid") or "").startswith("24e124")
                or model.startswith(("GS5", "EM", "WS", "CT"))
            )
        ):
            read = decode_bytes(data, model)
            if isinstance(read, dict):
                put_history(read.pop("history", None), saying, model)
                put_object(read, saying, model)
                return (saying.decoded(),)
        saying.warn("no payload formatter: decoded_payload missing")
        raw = {"raw": {"fport": port, "data_hex": (data or b"").hex()[:512]}}
        saying.fields["info"] = {**(saying.fields.get("info") or {}), **raw}
        for warning in (
            up.get("decoded_payload_warnings") or () if isinstance(up.get("decoded_payload_warnings"), list) else ()
        ):
            saying.warn(str(warning)[:100])
        return (saying.decoded(),)

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def filters(root: str) -> tuple[Filter, ...]:
    return tuple(Filter(f"{root}/+/devices/+/{kind}") for kind in ("up", "join", "location/solved"))


def root_of(topic: str) -> str:
    """Everything before the application."""
    return "/".join(topic.split("/devices/")[0].split("/")[:-1]) or "v3"
