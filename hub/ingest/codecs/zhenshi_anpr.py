"""Number-plate cameras of the Zhenshi kind: results with the plate in base64 (UTF-8 or GBK), inputs, heartbeats.

A passage comes twice, quickly and in full: both carry the id that tells them apart from the next car. Plates are personal data.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.saying import Saying, masked
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.readings import Decoded, Event, Reject

NAME: Final = "zhenshi-anpr"
_TOPIC: Final = re.compile(
    r"(?:(?P<first>[^/]+)/device|device/(?P<second>[^/]+))/message/(?P<way>up|down)/(?P<name>.+)\Z"
)
_NO_PLATE: Final = frozenset(("", "_无_", "无", "无牌车", "_无牌车_", "unlicensed"))
_COLOURS: Final = {0: None, 1: "blue", 2: "yellow", 3: "white", 4: "black", 5: "green", 6: "yellow-green"}
_WAYS: Final = {1: "left", 2: "right", 3: "up", 4: "down"}


class ZhenshiCodec:
    """Decodes `{sn}/device/message/up/<name>` and `device/{sn}/message/up/<name>`, below `root` if there is one. Never raises."""

    name = NAME

    def __init__(self, root: str = "", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        rest = topic if not self.root else topic[len(self.root) + 1 :] if topic.startswith(self.root + "/") else ""
        found = _TOPIC.match(rest) if len(rest) <= 1_024 else None
        if found is None:
            return Reject(codec=NAME, reason="unknown topic", detail="expected <sn>/device/message/up/<name>")
        sn = found["first"] or found["second"]
        saying = Saying(NAME, sn, sn, received_at_ms, self._context.zone)
        if len(payload) > MAX_BYTES:
            return self._reject(saying, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if found["way"] == "down" or found["name"].endswith("/reply"):
            return (saying.decoded(ignored="command or its answer"),)
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
        if body.get("timestamp") is not None:
            saying.time(body["timestamp"])
        inner = body.get("payload")
        inner = inner if isinstance(inner, dict) else body
        return self._message(found["name"], body, inner, saying)

    def _message(
        self, name: str, body: dict[str, Any], inner: dict[str, Any], saying: Saying
    ) -> tuple[Decoded, ...] | Reject:
        if name == "keep_alive":
            saying.fields["availability"] = True
        elif name in ("ivs_result", "quick_ivs_result"):
            self._result(body, inner, saying, quick=name.startswith("quick"))
        elif name == "gpio_in":
            trigger = inner.get("TriggerResult", inner.get("gpio_in", inner))
            if isinstance(trigger, dict) and isinstance(trigger.get("value"), int | bool):
                source = trigger.get("source", 0)
                number = source if isinstance(source, int) and 0 <= source < 64 else 0
                value = trigger["value"]
                saying.put(f"input_{number}", bool(value) if value in (0, 1) else None)
        elif name in ("gate_status", "barrier_status", "lanectrl_result"):
            state = inner.get("status", inner.get("gate_status", inner.get("state")))
            if state is not None and not isinstance(state, dict | list):
                saying.put(
                    "gate_state", {0: "closed", 1: "open", "0": "closed", "1": "open"}.get(state, state), key=name
                )
        elif name == "snapshot":
            return (saying.decoded(ignored="picture"),)
        else:
            return (saying.decoded(ignored=f"message {short(name)}"),)
        if saying.empty:
            return self._reject(saying, "no schema", f"nothing in {short(name)}")
        return (saying.decoded(),)

    def _result(self, body: dict[str, Any], inner: dict[str, Any], saying: Saying, *, quick: bool) -> None:
        info = inner.get("AlarmInfoPlate")
        info = info if isinstance(info, dict) else inner
        result = info.get("result")
        result = result if isinstance(result, dict) else {}
        plate = result.get("PlateResult")
        plate = plate if isinstance(plate, dict) else {}
        text = _plate(plate.get("license"), saying)
        if text is not None and not self._context.personal:
            text = masked(text)
        detail: dict[str, Any] = {"plate": text}
        confidence = plate.get("confidence")
        if isinstance(confidence, int | float) and not isinstance(confidence, bool):
            if confidence > 100:
                saying.warn(f"confidence {confidence} is above 100")
            detail["confidence"] = confidence
        for key, name, words in (
            ("color", "color", _COLOURS),
            ("colorType", "color", _COLOURS),
            ("direction", "direction", _WAYS),
        ):
            given = plate.get(key)
            word = words.get(given) if isinstance(given, int) else None
            if word:
                detail[name] = word
        if isinstance(plate.get("triggerType"), int):
            detail["trigger"] = plate["triggerType"]
        if quick:
            detail["phase"] = "quick"
        identity = plate.get("plateid", plate.get("plateId", body.get("id")))
        if isinstance(identity, str | int) and not isinstance(identity, bool) and identity not in ("", 0):
            detail["id"] = identity if isinstance(identity, int) else identity[:64]
            saying.fields["dedupe_key"] = f"{saying.device}/{'quick/' if quick else ''}{identity}"[:128]
        if saying.at.at_ms is None and isinstance(plate.get("timeStamp"), dict):
            moment = plate["timeStamp"].get("Timeval")
            if isinstance(moment, dict) and isinstance(moment.get("sec"), int):
                saying.time(moment["sec"])
        saying.findings.events.append(Event("vehicle", detail=detail))

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def _plate(given: Any, saying: Saying) -> str | None:
    """The plate as text; None when the camera saw none."""
    if not isinstance(given, str) or len(given) > 200:
        return None
    text = given.strip()
    try:
        raw = base64.b64decode(text, validate=True) if text and len(text) % 4 == 0 else b""
    except (binascii.Error, ValueError):
        raw = b""
    if raw:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            try:
                text = raw.decode("gb18030")
                saying.warn("plate is GBK, not UTF-8")
            except UnicodeDecodeError:
                saying.warn("plate is no text")
                return None
    text = text.strip("\0 ").strip()
    return None if text in _NO_PLATE else text[:32]


def filters(root: str) -> tuple[Filter, ...]:
    top = f"{root}/" if root else ""
    return (Filter(f"{top}+/device/message/up/+"), Filter(f"{top}device/+/message/up/+"))


def root_of(topic: str) -> str:
    return ""
