"""AWS IoT: the reported state of a shadow with its per-field times, and plain JSON on data topics. Reached over a bridge."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import named, short
from hub.model.readings import Decoded, Reject

NAME: Final = "aws-iot"
_SHADOW: Final = re.compile(r"(?P<thing>[^/]+)/shadow/(?:name/(?P<shadow>[^/]+)/)?(?P<kind>.+)\Z")
_READ: Final = frozenset(("update", "update/accepted", "update/documents", "get/accepted"))
_MOST: Final = 500


class AwsShadowCodec:
    """Decodes `{root}/<thing>/shadow/…` and `{root}/…/<thing>/<kind>`. Never raises."""

    name = NAME

    def __init__(self, root: str = "$aws/things", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        rest = topic[len(self.root) + 1 :] if topic.startswith(self.root + "/") else ""
        shadow = _SHADOW.match(rest) if len(rest) <= 1_024 else None
        levels = rest.split("/")
        if not rest or (shadow is None and len(levels) < 2):
            return Reject(codec=NAME, reason="unknown topic", detail=f"no thing below {self.root}/")
        thing = shadow["thing"] if shadow is not None else levels[-2]
        if not thing:
            return Reject(codec=NAME, reason="unknown topic", detail="the level of the thing is empty")
        identity = f"{thing}/{shadow['shadow']}" if shadow is not None and shadow["shadow"] else thing
        saying = Saying(NAME, identity, thing, received_at_ms, self._context.zone)
        if shadow is not None and shadow["kind"] not in _READ:
            return (saying.decoded(ignored="desired state, request or refusal"),)
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
        if shadow is None:
            saying.time(next((body[k] for k in ("ts", "timestamp", "time") if k in body), None))
            self._values({k: v for k, v in body.items() if k not in ("ts", "timestamp", "time")}, {}, saying)
        else:
            self._shadow(body, saying)
        if saying.empty and not saying.findings.warnings:
            return (saying.decoded(ignored="no reported state"),)
        return (saying.decoded(),)

    def _shadow(self, body: dict[str, Any], saying: Saying) -> None:
        current = body.get("current")
        whole = current if isinstance(current, dict) else body
        state, meta = whole.get("state"), whole.get("metadata")
        reported = state.get("reported") if isinstance(state, dict) else None
        times = meta.get("reported") if isinstance(meta, dict) else None
        if not isinstance(reported, dict):
            return
        version = whole.get("version")
        if isinstance(version, int) and not isinstance(version, bool) and 0 <= version < 2**63:
            saying.fields["seq"] = version
        at = self._values(reported, times if isinstance(times, dict) else {}, saying)
        if at is not None:
            saying.at = saying.at._replace(at_ms=at)
        elif body.get("timestamp") is not None:
            saying.time(body["timestamp"])

    def _values(self, values: dict[str, Any], times: dict[str, Any], saying: Saying) -> int | None:
        """Adds readings; what is text or unknown becomes an attribute. The latest time of them."""
        latest: int | None = None
        attributes: dict[str, Any] = {}
        for key, value in list(values.items())[:_MOST]:
            own = times.get(key)
            at_ms = None
            if isinstance(own, dict) and "timestamp" in own:
                at_ms = saying.instant(own["timestamp"]).at_ms
            if isinstance(value, dict | list):
                continue
            known = named(key)
            if known is None and (isinstance(value, str | bool) or value is None):
                attributes[key[:60]] = value[:100] if isinstance(value, str) else value
                continue
            if known is not None and known[0] == "battery_pct" and isinstance(value, float) and 0 < value <= 1:
                saying.warn(f"{key} {value} ≤ 1: taken as a fraction")
                value = round(value * 100, 6)
            saying.put_named(key, value, at_ms=at_ms)
            if at_ms is not None and (latest is None or at_ms > latest):
                latest = at_ms
        if attributes:
            saying.fields["info"] = {"attributes": attributes}
        return latest

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def filters(root: str) -> tuple[Filter, ...]:
    if not root.startswith("$"):
        return (Filter(f"{root}/#"),)
    return tuple(
        Filter(f"{root}/+/shadow/{rest}") for rest in ("update/accepted", "update/documents", "name/+/update/accepted")
    )


def root_of(topic: str) -> str:
    return "$aws/things" if topic.startswith("$aws/things/") else topic.split("/")[0]
