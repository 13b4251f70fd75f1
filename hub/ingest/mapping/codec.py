"""The codec of a profile: compiled once, then as any other codec."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.findings import EDGE_ALARMS
from hub.ingest.instants import AHEAD_MS, EARLIEST_MS
from hub.ingest.mapping.binary import read_binary
from hub.ingest.mapping.looking import MISSING, Scope, condition, looked, topic_pattern
from hub.ingest.mapping.parts import CompiledPart, simple_factor
from hub.ingest.mapping.schema import MessageRow, Metric, Profile
from hub.ingest.payload import (
    EMPTY,
    MAX_BYTES,
    STRICT_ERRORS,
    TOO_LARGE,
    Malformed,
    is_small,
    parse,
    parse_object,
    strict,
    text_of,
)
from hub.ingest.saying import Saying, masked
from hub.ingest.values import SENTINELS, SUSPECT, short
from hub.model.quantities import ALARM_QUANTITY, QUANTITIES
from hub.model.readings import Decoded, Quality, Reading, Reject

_REMEMBERED: Final = 16_384
_SHAPES: Final = 4_096
_LONG_TOPIC: Final = 512
_BIG: Final = 10**15
_CLOCK: Final = int(Quality.CLOCK)
_EVENTFUL: Final = frozenset(("test", *(ALARM_QUANTITY[alarm] for alarm in EDGE_ALARMS)))
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\Z")
_new: Final = tuple.__new__
_PLAIN, _SCALED, _SWITCH, _INVERTED, _WORD = range(5)
_Step = tuple[str, str, int, Any, float, float]  # key, quantity, what to do, odd values or words, factor, offset


_Bodies = dict[str, tuple[Any, tuple[str, ...], Malformed | None]]


class ProfileCodec:
    """Decodes what `profile` describes below `root`. Never raises, whatever the bytes."""

    def __init__(self, profile: Profile, root: str, context: CodecContext | None = None) -> None:
        self.name, self.root = profile.profile, root
        self.context = context or CodecContext()
        personal = str if self.context.personal else masked
        self._rows = [_Row(row, profile, root, personal, self.context) for row in profile.messages]
        self._found: dict[str, tuple[tuple[_Row, dict[str, str]], ...]] = {}

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        rows = self._found.get(topic)
        if rows is None:
            rows = self._locate(topic)
        if len(payload) > MAX_BYTES:
            return Reject(codec=self.name, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        refusal: Reject | None = None
        bodies: _Bodies = {}
        for row, names in rows:
            said = row.quick(topic, payload, received_at_ms) or row.read(names, payload, received_at_ms, bodies)
            if said is None:
                continue
            if isinstance(said, Reject) and said.reason == "no schema" and len(rows) > 1:
                refusal = said
                continue
            return said
        if refusal is not None:
            return refusal
        if rows:
            return Reject(codec=self.name, reason="no schema", detail="no message of the profile looks like this")
        return Reject(
            codec=self.name, reason="unknown topic", detail=f"no message of the profile {self.name} has this topic"
        )

    def _locate(self, topic: str) -> tuple[tuple[_Row, dict[str, str]], ...]:
        found = tuple(
            (row, {k: v for k, v in match.groupdict().items() if v})
            for row in self._rows
            for pattern in row.patterns
            if (match := pattern.match(topic)) is not None
        )
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        if len(topic) <= _LONG_TOPIC:
            self._found[topic] = found
        return found


class _Row:
    """One kind of message, compiled."""

    def __init__(self, row: MessageRow, profile: Profile, root: str, personal: Any, context: CodecContext) -> None:
        self.row, self.codec, self.root = row, profile.profile, root
        self.patterns = [topic_pattern(pattern, root) for pattern in row.topic]
        self.personal, self.zone, self._own_text = personal, context.zone, context.own_text
        self.let = {name: looked(spec) for name, spec in row.let.items()}
        self.part = CompiledPart(row, profile.profile)
        self.when = condition(row.when)
        self._simple = _simple_steps(row)
        self._plans: dict[tuple[str, ...], tuple[_Step, ...] | None] = {}
        self._places: dict[str, tuple[str, str]] = {}  # topic → address and device, for the quick path

    def quick(self, topic: str, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | None:
        """Everyday values of a device that was heard before on this topic, or None: then `read` looks closer."""
        simple = self._simple
        if simple is None or not is_small(payload):
            return None
        place = self._places.get(topic)
        try:
            body = strict(payload)
        except STRICT_ERRORS:
            return None
        if type(body) is not dict:
            return None
        if place is None:
            place = self._place(topic, body)
            if place is None:
                return None
        values = body if simple.values is None else body.get(simple.values)
        if type(values) is not dict:
            return None
        at_ms: int | None = None
        quality = _CLOCK
        if simple.time is not None and (given := body.get(simple.time)) is not None:
            if type(given) is not int:
                return None
            at_ms = given * 1_000 if 1_000_000_000 <= given < 10_000_000_000 else given
            if not EARLIEST_MS <= at_ms <= received_at_ms + AHEAD_MS or at_ms >= 10**13:
                return None
            quality = 0
        shape = tuple(values)
        plan = self._plans.get(shape, ())
        if plan == ():
            plan = self._plan(shape, simple)
        if plan is None:
            return None
        readings: list[Reading] = []
        for key, quantity, step, odd, factor, offset in plan:
            value = values[key]
            fits = type(value)
            if step == _PLAIN:
                if (fits is not float and fits is not int) or not -_BIG < value < _BIG or value in odd:
                    return None
            elif step == _SCALED:
                if (fits is not float and fits is not int) or not -_BIG < value < _BIG:
                    return None
                value = round(value * factor + offset, 9)
                if value in odd:
                    return None
            elif step == _WORD:
                value = odd.get(value) if fits is str else None
                if value is None or (value is True and quantity in _EVENTFUL):
                    return None
            elif fits is not bool:
                return None
            else:
                if step == _INVERTED:
                    value = not value
                if value and quantity in _EVENTFUL:
                    return None
            readings.append(_new(Reading, (quantity, value, at_ms, quality, "", None)))
        if not readings:
            return None
        return (
            Decoded(
                codec=self.codec, address=place[0], device=place[1], readings=tuple(readings), observed_at_ms=at_ms
            ),
        )

    def _place(self, topic: str, body: dict[str, Any]) -> tuple[str, str] | None:
        names = self._names(topic)
        if names is None:
            return None
        scope = Scope(body, body, names, 0, self.personal)
        device = self.part.device(scope) if self.part.device else ""
        if not device or self._from_body():
            return None
        saying = self.part.begin(scope, 0, "", device)
        place = (self._own_text(saying.address), device)
        if len(self._places) >= _REMEMBERED:
            self._places.clear()
        self._places[topic] = place
        return place

    def _from_body(self) -> bool:
        """Whether the device is named in the payload: then the topic alone does not tell."""
        sources = [*(self.row.device or []), *([self.row.address] if self.row.address else [])]
        return any(not s.startswith("=") and not (s.startswith("{") and "/" not in s) for s in sources)

    def _names(self, topic: str) -> dict[str, str] | None:
        for pattern in self.patterns:
            match = pattern.match(topic)
            if match is not None:
                return {"root": self.root, **{k: v for k, v in match.groupdict().items() if v}}
        return None

    def _plan(self, shape: tuple[str, ...], simple: _Simple) -> tuple[_Step, ...] | None:
        known = simple.steps
        steps = tuple(known[key] for key in shape if key in known)
        plan = steps or None
        if len(self._plans) >= _SHAPES:
            self._plans.clear()
        if len(shape) <= 100:
            self._plans[shape] = plan
        return plan

    def read(
        self, names: dict[str, str], payload: bytes, received_at_ms: int, bodies: _Bodies
    ) -> tuple[Decoded, ...] | Reject | None:
        """What the message says; None when it is not of this row."""
        row = self.row
        names = {"root": self.root, **names}
        if row.ignore and not row.when:
            return (self._blank(names, received_at_ms, ignored=row.ignore),)
        if not payload.strip() and row.payload not in ("binary", "none"):
            return self._empty(names, received_at_ms)
        body, warnings, refusal = self._body(names, payload, bodies)
        if refusal is not None:
            return self._reject(names, refusal.reason, refusal.detail)
        scope = Scope(body, body, names, received_at_ms, self.personal)
        if self.let:
            for name, find in self.let.items():
                found = find(scope)
                if found is not MISSING and found is not None and not isinstance(found, dict | list):
                    names[name] = str(found)[:128]
        if self.when is not None and not self.when(scope):
            return None
        if row.reject:
            return self._reject(names, "not to be believed", row.reject)
        device = self.part.device(scope) if self.part.device else ""
        saying = self.part.begin(scope, received_at_ms, self.zone, device)
        if row.ignore:
            return (saying.decoded(ignored=row.ignore, name_alarms=False),)
        for warning in warnings:
            saying.warn(warning)
        also: list[Saying] = []
        self.part.say(scope, saying, also)
        is_bare = row.payload in ("value", "text")
        if is_bare and any(event.type == "alarm_unclear" for event in saying.findings.events):
            # a bare word has no closing bracket: what is no word of an alarm can be a part of one, cut off
            return self._reject(
                names, "bad value", f"{short(payload[:60].decode('utf-8', 'replace'))} is none of an alarm's words"
            )
        if not device and also and saying.empty:
            return tuple(one.decoded() for one in also)
        if self.part.device is not None and not device and "=" not in (row.device or ()):
            return self._reject(names, "no device", "the message does not name its device")
        if (
            saying.empty
            and not saying.findings.warnings
            and saying.at.at_ms is None
            and not saying.at.local
            and not also
        ):
            return self._reject(names, "no schema", "nothing of the message is known to the profile")
        more: dict[str, Any] = {"retained_state": True} if row.retained_state else {}
        said = saying.decoded(**more)
        if also and saying.empty and not said.warnings:
            return tuple(one.decoded() for one in also)
        return (said, *(one.decoded() for one in also))

    def _body(
        self, names: dict[str, str], payload: bytes, bodies: _Bodies
    ) -> tuple[Any, tuple[str, ...], Malformed | None]:
        """The message as data; rows of one topic share what was read of it."""
        row = self.row
        found = bodies.get(row.payload) if row.payload != "binary" else None
        if found is None:
            found = bodies[row.payload] = self._parsed(payload)
        body, warnings, refusal = found
        if row.as_ and refusal is None:
            key = row.as_
            for name, value in names.items():
                key = key.replace("{" + name + "}", value)
            body = {key: body}
        return body, warnings, refusal

    def _parsed(self, payload: bytes) -> tuple[Any, tuple[str, ...], Malformed | None]:
        row = self.row
        if row.payload == "none":
            return {}, (), None
        if row.payload == "binary":
            assert row.binary is not None
            found = read_binary(payload, row.binary)
            return (None, (), Malformed("bad binary message", found)) if isinstance(found, str) else (found, (), None)
        warnings: tuple[str, ...] = ()
        body: Any
        if row.payload == "json":
            parsed = parse_object(payload)
            if isinstance(parsed, Malformed):
                return None, (), parsed
            body, warnings = parsed.value, parsed.warnings
            if not isinstance(body, dict | list):
                return None, (), Malformed("not an object", f"the body is {short(body)}")
        else:
            if len(payload) > 4_096 and row.payload == "text":
                return None, (), Malformed("text too long", f"{len(payload)} bytes")
            body, warnings = _bare(payload, row.payload == "text")
            if isinstance(body, Malformed):
                return None, (), body
        return body, warnings, None

    def _empty(self, names: dict[str, str], received_at_ms: int) -> tuple[Decoded, ...]:
        if self.row.empty == "offline":
            return (self._blank(names, received_at_ms, availability=False),)
        if self.row.empty == "unknown":
            scope = Scope({}, {}, names, received_at_ms, self.personal)
            key = next((v for k, v in names.items() if self.row.as_ == "{" + k + "}"), "")
            unknown = [
                m.quantity
                for s, ms in self.row.metrics.items()
                for m in ms
                if s.removeprefix("/") in (key, "") and "{" not in m.quantity
            ]
            saying = self.part.begin(
                scope, received_at_ms, self.zone, self.part.device(scope) if self.part.device else ""
            )
            saying.unknown(*(unknown or ["*"]))
            return (saying.decoded(),)
        return (self._blank(names, received_at_ms, ignored="retained clear"),)

    def _blank(self, names: dict[str, str], received_at_ms: int, **fields: Any) -> Decoded:
        scope = Scope({}, {}, names, received_at_ms, self.personal)
        device = self.part.device(scope) if self.part.device else ""
        return self.part.begin(scope, received_at_ms, self.zone, device).decoded(**fields)

    def _reject(self, names: dict[str, str], reason: str, detail: str) -> Reject:
        scope = Scope({}, {}, names, 0, self.personal)
        device = self.part.device(scope) if self.part.device else ""
        address = self.part.begin(scope, 0, "", device).address if device else ""
        return Reject(codec=self.codec, reason=reason, detail=detail, device=device, address=address)


class _Simple:
    """What the quick path of a row needs to know."""

    __slots__ = ("steps", "time", "values")

    def __init__(self, steps: dict[str, _Step], time: str | None, values: str | None) -> None:
        self.steps, self.time, self.values = steps, time, values


def _simple_steps(row: MessageRow) -> _Simple | None:
    """The quick path of a row, or None when it says more than values and a time."""
    more = (row.gateway, row.uid, row.site, row.model, row.events, row.availability, row.history, row.test, row.dedupe, row.seq,
            row.interval_s, row.info, row.warn, row.when, row.each, row.let, row.unknown, row.ignore, row.reject, row.binary)  # fmt: skip
    if row.payload != "json" or any(more) or row.others != "ignore" or not row.metrics or row.retained_state:
        return None
    time = values = None
    if row.time is not None:
        if (
            row.time.unit not in ("", "ms", "s")
            or row.time.pattern
            or len(row.time.source) != 1
            or not _is_key(row.time.source[0])
        ):
            return None
        time = row.time.source[0].removeprefix("/")
    if row.values is not None:
        if not _is_key(row.values):
            return None
        values = row.values.removeprefix("/")
    steps: dict[str, _Step] = {}
    for source, metrics in row.metrics.items():
        step = _step(source, metrics[0]) if len(metrics) == 1 and _is_key(source) else None
        if step is None:
            return None
        steps[step[0]] = step
    return _Simple(steps, time, values)


def _is_key(source: str) -> bool:
    return (
        bool(source)
        and "/" not in source.removeprefix("/")
        and "{" not in source
        and "~" not in source
        and source[0] not in "^="
    )


def _step(source: str, metric: Metric) -> _Step | None:
    key, quantity = source.removeprefix("/"), QUANTITIES.get(metric.quantity)
    if (
        quantity is None
        or metric.when
        or metric.models
        or metric.null
        or metric.absent
        or metric.bit is not None
        or metric.times
    ):
        return None
    if quantity.kind in ("gauge", "counter"):
        factor = simple_factor(metric)
        if factor is None or metric.words:
            return None
        odd = SENTINELS.get(quantity.name, frozenset()) | SUSPECT.get(quantity.name, frozenset())
        return key, quantity.name, _PLAIN if factor == (1, 0) else _SCALED, odd, *factor
    if metric.words:
        if metric.invert:
            return None
        fits = bool if quantity.kind == "switch" else str
        if not all(
            isinstance(value, fits) and (fits is bool or value in quantity.states) for value in metric.words.values()
        ):
            return None
        return key, quantity.name, _WORD, metric.words, 1.0, 0.0
    if quantity.kind == "switch":
        return key, quantity.name, _INVERTED if metric.invert else _SWITCH, None, 1.0, 0.0
    return None


def _bare(payload: bytes, as_text: bool) -> tuple[Any, tuple[str, ...]]:
    """A payload that is no object: JSON where it is some, else a number, a switch or a text."""
    start = payload.lstrip()[:1]
    if not as_text and start in (b"{", b"[", b'"'):
        parsed = parse(payload)
        if isinstance(parsed, Malformed):
            return Malformed(parsed.reason if parsed.reason != EMPTY else "empty payload", parsed.detail), ()
        return parsed.value, parsed.warnings
    if len(payload) > 4_096:
        return Malformed("text too long", f"{len(payload)} bytes, at most 4096"), ()
    found, warning = text_of(payload)
    found = found.strip().strip("\0").strip()
    warnings = (warning,) if warning else ()
    if as_text:
        return found, warnings
    if found in ("true", "false"):
        return found == "true", warnings
    lower = found.lower()
    if lower in ("null", "none", "nil", "nan", "+nan", "-nan"):
        return None, warnings
    if _NUMBER.match(found) and len(found) <= 64:
        return (float(found) if any(c in found for c in ".eE") else int(found)), warnings
    return found, warnings
