"""Kepware's IoT gateway: tags of many devices in one message on one topic; `q` false is bad quality, whose value means nothing."""

from __future__ import annotations

from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import named, short
from hub.model.readings import Decoded, Reject

NAME: Final = "kepware"
_MOST_TAGS: Final = 1_000
_NAMES: Final = {"volt": ("voltage_v", ""), "amp": ("current_a", ""), "kw": ("power_w", "kW")}


class KepwareCodec:
    """Decodes messages on `{root}` and below. Never raises."""

    name = NAME

    def __init__(self, root: str = "iotgateway", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if topic != self.root and not topic.startswith(self.root + "/"):
            return Reject(codec=NAME, reason="unknown topic", detail=f"neither {self.root} nor below it")
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        if not payload.strip():
            return (Saying(NAME, "-", "", received_at_ms).decoded(ignored="retained clear"),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return Reject(codec=NAME, reason=parsed.reason, detail=parsed.detail)
        body = parsed.value
        if isinstance(body, dict):
            entries = body.get("values", body.get("tags", [body]))
            outer = body.get("timestamp")
        else:
            entries, outer = body, None
        if not isinstance(entries, list):
            return Reject(codec=NAME, reason="no schema", detail=f"neither values nor a list of tags: {short(body)}")
        said: dict[str, Saying] = {}
        bad: dict[str, list[str]] = {}
        for entry in entries[:_MOST_TAGS]:
            tag = entry.get("id", entry.get("tagname", entry.get("name"))) if isinstance(entry, dict) else None
            if not isinstance(tag, str) or not tag:
                continue
            device, _, name = tag.rpartition(".")
            device = device or tag
            saying = said.get(device)
            if saying is None:
                saying = said[device] = Saying(NAME, device[:256], device[:256], received_at_ms, self._context.zone)
                for warning in parsed.warnings:
                    saying.warn(warning)
            at = saying.instant(entry.get("t", entry.get("timestamp", outer)))
            if at.at_ms is not None and (saying.at.at_ms is None or at.at_ms > saying.at.at_ms):
                saying.at = at
            value: Any = entry.get("v", entry.get("value"))
            found = named(name) or _NAMES.get(name.lower())
            if entry.get("q", entry.get("quality", True)) in (False, 0, "bad", "Bad"):
                saying.unknown(found[0] if found else name)
                bad.setdefault(device, []).append(name[:60])
            elif isinstance(value, dict | list):
                saying.warn(f"{short(name)} is no plain value: left out")
            elif found and not (isinstance(value, str) and not any(c.isdigit() for c in value)):
                saying.put(found[0], value, unit=found[1], key=name, at_ms=at.at_ms)
            else:
                saying.put(name[:100] or "value", value, at_ms=at.at_ms)
        for device, names in bad.items():
            said[device].fields["info"] = {"bad_quality": names[:50]}
        if not said:
            return Reject(codec=NAME, reason="no schema", detail="no tag in the message")
        return tuple(saying.decoded() for saying in said.values())


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(root), Filter(f"{root}/#"))


def root_of(topic: str) -> str:
    return topic.split("/")[0]
