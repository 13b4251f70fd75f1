"""ChirpStack v4 (and, read only, v3): JSON events of devices. The object is what the device profile's decoder gave."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.lorawan_objects import put_history, put_object
from hub.ingest.codecs.milesight_raw import decode_bytes
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

NAME: Final = "chirpstack-v4"
_IGNORED: Final = {"ack": "downlink ack", "txack": "downlink transmission ack", "integration": "event of a modem service",
                   "down": "downlink", "tx": "downlink"}  # fmt: skip
_TOPIC: Final = re.compile(r"(?:[^/]+/)?device/([^/]+)/(?:event/)?([a-z]+)\Z")
_MILESIGHT: Final = "24e124"  # the maker's block of addresses


class ChirpStackCodec:
    """Decodes `{root}/<application>/device/<devEui>/event/<event>`. Never raises."""

    name = NAME

    def __init__(self, root: str = "application", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        rest = topic[len(self.root) + 1 :] if topic.startswith(self.root + "/") else ""
        if not rest:
            return Reject(codec=NAME, reason="unknown topic", detail=f"not under {self.root}/")
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        if rest.startswith("gateway/") or "/gateway/" in rest:
            gateway = rest.split("gateway/", 1)[1].split("/")[0]
            return (
                Saying(NAME, f"gateway/{gateway}", gateway, received_at_ms).decoded(
                    ignored="frame of a gateway bridge"
                ),
            )
        found = _TOPIC.match(rest)
        if found is None:
            return Reject(
                codec=NAME, reason="unknown topic", detail="expected <application>/device/<devEui>/event/<event>"
            )
        eui, event = found[1].lower(), found[2]
        saying = Saying(NAME, eui, eui, received_at_ms, self._context.zone)
        if event == "command":
            return (saying.decoded(ignored="command"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed) or not isinstance(parsed.value, dict):
            reason, detail = parsed if isinstance(parsed, Malformed) else ("not an object", short(parsed.value))
            return Reject(codec=NAME, reason=reason, detail=str(detail), device=eui, address=saying.address)
        body = parsed.value
        for warning in parsed.warnings:
            saying.warn(warning)
        self._identity(body, saying)
        if event in _IGNORED:
            return (saying.decoded(ignored=_IGNORED[event]),)
        saying.time(body.get("time"))
        if isinstance(body.get("deduplicationId"), str):
            saying.fields["dedupe_key"] = body["deduplicationId"][:128]
        match event:
            case "up" | "rx":
                self._uplink(body, saying)
            case "status":
                if not (body.get("externalPowerSource") is True or body.get("batteryLevelUnavailable") is True):
                    saying.put("battery_pct", body.get("batteryLevel", 0), key="batteryLevel")
                elif body.get("externalPowerSource") is True:
                    saying.put("mains_powered", True)
                saying.put("lora_margin_db", body.get("margin", 0))
            case "join":
                saying.event("device_joined")
            case "log" | "error":
                level = str(body.get("level", "ERROR")).upper()
                kind = {"INFO": "network_log", "WARNING": "network_warning"}.get(level, "network_error")
                saying.event(
                    kind,
                    {
                        "code": _text(body.get("code", body.get("type"))),
                        "text": _text(body.get("description", body.get("error"))),
                    },
                )
            case "location":
                where = body.get("location")
                for key, name in (("latitude", "latitude"), ("longitude", "longitude"), ("altitude", "altitude_m")):
                    if isinstance(where, dict) and isinstance(where.get(key), int | float):
                        saying.put(name, where[key])
            case _:
                return Reject(
                    codec=NAME,
                    reason="unknown topic",
                    detail=f"event {short(event)}",
                    device=eui,
                    address=saying.address,
                )
        return (saying.decoded(),)

    def _identity(self, body: dict[str, Any], saying: Saying) -> None:
        about = body.get("deviceInfo")
        about = about if isinstance(about, dict) else body  # v3 has it all in one
        name = about.get("deviceName")
        if isinstance(name, str) and name:
            saying.device = name[:128]
        given = about.get("devEui") or about.get("devEUI")
        eui = saying.address.partition(":")[2]
        if isinstance(given, str) and given:
            eui = _eui(given) or eui
        saying.fields["device_uid"] = eui
        tags = about.get("tags")
        info = {"model": about.get("deviceProfileName"), "application": about.get("applicationName")}
        kept = {k: v[:100] for k, v in info.items() if isinstance(v, str) and v}
        if isinstance(tags, dict):
            kept["tags"] = {str(k)[:40]: str(v)[:100] for k, v in list(tags.items())[:20]}  # type: ignore[assignment]
        if kept:
            saying.fields["info"] = kept

    def _uplink(self, body: dict[str, Any], saying: Saying) -> None:
        put_radio(body.get("rxInfo"), saying)
        saying.fields["seq"] = _whole(body.get("fCnt", 0))
        model = _model(body)
        found = body.get("object")
        text = body.get("objectJSON")
        if not isinstance(found, dict) and isinstance(text, str) and text:
            found = _json(text)
            if found is None:
                saying.warn("objectJSON is not readable")
        if not isinstance(found, dict):
            data = bytes_of(body.get("data"))
            port = body.get("fPort", 0)
            if data is None:
                if body.get("data"):
                    saying.warn("data is no base64")
                return
            if (saying.fields.get("device_uid") or "").startswith(_MILESIGHT) and data and port == 85:
                read = decode_bytes(data, model)
                if isinstance(read, dict):
                    put_history(read.pop("history", None), saying, model)
                    put_object(read, saying, model)
                    return
                saying.warn(f"bytes of a Milesight device: {read}")
            saying.warn("no codec configured: object missing")
            info = dict(saying.fields.get("info") or {})
            saying.fields["info"] = {**info, "raw": {"fport": port, "data_hex": data.hex()[:512]}}
            return
        put_history(found.get("history"), saying, model)
        put_object(found, saying, model)


def put_radio(receptions: Any, saying: Saying) -> None:
    """Signal of the gateway that heard the device best."""
    if not isinstance(receptions, list):
        return
    heard = [
        r
        for r in receptions[:50]
        if isinstance(r, dict) and isinstance(r.get("rssi"), int | float) and not isinstance(r["rssi"], bool)
    ]
    if not heard:
        return
    best = max(heard, key=lambda r: r["rssi"] if r["rssi"] == r["rssi"] else -999)
    saying.put("rssi_dbm", best["rssi"])
    snr = best.get("snr", best.get("loRaSNR", 0))  # zero values are left out of the JSON
    if isinstance(snr, int | float) and not isinstance(snr, bool):
        saying.put("snr_db", snr)
    gateway = best.get("gatewayId") or best.get("gatewayID")
    if isinstance(gateway, str):
        saying.fields["gateway"] = (_eui(gateway) or gateway)[:64]


def bytes_of(data: Any) -> bytes | None:
    if not isinstance(data, str) or not data:
        return None
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def _model(body: dict[str, Any]) -> str:
    about = body.get("deviceInfo")
    about = about if isinstance(about, dict) else body
    tags = about.get("tags")
    for given in (
        (tags or {}).get("model") if isinstance(tags, dict) else None,
        about.get("deviceProfileName"),
        about.get("deviceName"),
    ):
        found = (
            re.search(r"\b(GS5[23]4N?|EM[35]00-[A-Z]{2,3}|WS\d{3}|CT\d{3}|VS\d{3}|AM\d{3})", given.upper())
            if isinstance(given, str)
            else None
        )
        if found is not None:
            return found[1]
    return ""


def _eui(given: str) -> str:
    """An address as lower-case hex; v3 writes it as base64."""
    if re.fullmatch(r"[0-9A-Fa-f]{16}", given):
        return given.lower()
    raw = bytes_of(given)
    return raw.hex() if raw is not None and len(raw) == 8 else ""


def _json(text: str) -> dict[str, Any] | None:
    parsed = parse_object(text.encode("utf-8", "replace"))
    return None if isinstance(parsed, Malformed) or not isinstance(parsed.value, dict) else parsed.value


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:200]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/+/device/+/event/+"), Filter(f"{root}/+/device/+/rx"))


def root_of(topic: str) -> str:
    """Up to the level "application"; a gateway's topics begin with the region."""
    levels = topic.split("/")
    return "/".join(levels[: levels.index("application") + 1]) if "application" in levels[:-1] else levels[0]
