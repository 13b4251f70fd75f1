"""ThingsBoard's device and gateway API. The device API says `me`: who speaks is the connection's user name, so it must come with the topic.

A bridge or the broker's mount point puts it before `v1/…` (`{root}/<device>/v1/devices/me/telemetry`). Without it there is one device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Reject

NAME: Final = "thingsboard"
_TOPIC: Final = re.compile(
    r"(?:(?P<device>.+)/)?(?:v1/(?P<who>devices/me|gateway)/(?P<kind>.+)|v2/(?P<short>t|a)(?:/.*)?|v2/(?P<other>.+))\Z"
)
_MOST_DEVICES: Final = 500
_MOST_RECORDS: Final = 1_000
_SECONDS: Final = 10**11


class ThingsBoardCodec:
    """Decodes telemetry and attributes below `root` ("" = none). Never raises."""

    name = NAME

    def __init__(self, root: str = "", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        rest = topic if not self.root else topic[len(self.root) + 1 :] if topic.startswith(self.root + "/") else ""
        found = _TOPIC.match(rest) if len(rest) <= 1_024 else None
        if found is None:
            return Reject(codec=NAME, reason="unknown topic", detail="none of v1/devices/me/… and v1/gateway/…")
        device = found["device"] or ""
        kind = {"t": "telemetry", "a": "attributes"}.get(found["short"] or "", found["kind"] or found["other"] or "")
        saying = self._saying(
            device or topic.split("/v")[0].strip("/") if found["device"] else "", device, received_at_ms
        )
        if not device:
            saying.address = f"{NAME}:me"
        if "rpc" in kind or "request" in kind or "response" in kind or kind in ("claim", "provision"):
            return (saying.decoded(ignored="remote call"),)
        if not payload.strip():
            return (saying.decoded(ignored="retained clear"),)
        parsed = parse(payload)
        if isinstance(parsed, Malformed):
            return Reject(codec=NAME, reason=parsed.reason, detail=parsed.detail, device=device, address=saying.address)
        body = parsed.value
        if found["who"] == "gateway":
            return self._gateway(kind, body, device, received_at_ms, parsed.warnings)
        for warning in parsed.warnings:
            saying.warn(warning)
        if kind not in ("telemetry", "attributes"):
            return Reject(codec=NAME, reason="unknown topic", detail=f"kind {short(kind)}", address=saying.address)
        if not isinstance(body, dict | list):
            return Reject(codec=NAME, reason="not an object", detail=short(body), device=device, address=saying.address)
        self._records(body, saying)
        if saying.empty and not saying.findings.warnings:
            return Reject(
                codec=NAME, reason="no schema", detail="no value in the message", device=device, address=saying.address
            )
        return (saying.decoded(),)

    def _gateway(
        self, kind: str, body: Any, gateway: str, received_at_ms: int, warnings: tuple[str, ...]
    ) -> tuple[Decoded, ...] | Reject:
        if not isinstance(body, dict):
            return Reject(codec=NAME, reason="not an object", detail=short(body))
        if kind in ("connect", "disconnect"):
            name = body.get("device")
            if not isinstance(name, str) or not name:
                return Reject(codec=NAME, reason="no device", detail="device is missing", field="device")
            return (self._saying(name, name, received_at_ms).decoded(availability=kind == "connect"),)
        if kind not in ("telemetry", "attributes"):
            return Reject(codec=NAME, reason="unknown topic", detail=f"kind {short(kind)}")
        if "device" in body and isinstance(body["device"], str) and kind == "attributes":
            return (self._saying(body["device"], body["device"], received_at_ms).decoded(ignored="shared attributes"),)
        said = []
        for name, records in list(body.items())[:_MOST_DEVICES]:
            saying = self._saying(name, name, received_at_ms)
            if gateway:
                saying.fields["gateway"] = gateway[:128]
            for warning in warnings:
                saying.warn(warning)
            if isinstance(records, dict | list):
                self._records(records, saying)
            if not saying.empty or saying.findings.warnings:
                said.append(saying.decoded())
        return tuple(said) or Reject(codec=NAME, reason="no schema", detail="no device with values")

    def _records(self, body: Any, saying: Saying) -> None:
        """{key: value}, {ts, values}, or a list of either."""
        records = body if isinstance(body, list) else [body]
        if len(records) > _MOST_RECORDS:
            saying.warn(f"{len(records)} records, only the first {_MOST_RECORDS} are read")
        for record in records[:_MOST_RECORDS]:
            if not isinstance(record, dict):
                continue
            values, at_ms = record, None
            if isinstance(record.get("values"), dict):
                values = record["values"]
                if "ts" in record:
                    at_ms = self._time(record["ts"], saying, only=len(records) == 1)
            for key, value in _plain(values, saying):
                saying.put_named(key, value, at_ms=at_ms)

    @staticmethod
    def _time(value: Any, saying: Saying, *, only: bool) -> int | None:
        """Milliseconds by contract; what is plainly seconds is taken as such, with a warning."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 10**9 <= value < _SECONDS:
            saying.warn("seconds where ms is specified")
        found = saying.instant(value)
        if only:
            saying.at = found
        return found.at_ms

    def _saying(self, identity: str, device: str, received_at_ms: int) -> Saying:
        return Saying(NAME, identity[:256], device[:256], received_at_ms, self._context.zone)


def _plain(values: dict[str, Any], saying: Saying) -> Iterator[tuple[str, Any]]:
    left_out = 0
    for n, (key, value) in enumerate(values.items()):
        if n >= _MOST_RECORDS:
            break
        if isinstance(value, dict | list):
            left_out += 1
            saying.fields["info"] = {
                "ignore_fields": [*(saying.fields.get("info") or {}).get("ignore_fields", ()), key[:60]][:20]
            }
        else:
            yield key[:100], value


def filters(root: str) -> tuple[Filter, ...]:
    if root:
        return tuple(
            Filter(f"{root}/{rest}")
            for rest in ("+/v1/devices/me/+", "v1/devices/me/+", "v1/gateway/+", "+/v1/gateway/+")
        )
    return tuple(
        Filter(rest)
        for rest in ("v1/devices/me/+", "v1/gateway/+", "v2/t", "v2/a", "+/v1/devices/me/+", "+/v1/gateway/+")
    )


def root_of(topic: str) -> str:
    return ""
