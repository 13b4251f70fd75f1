"""A part of a profile, compiled: what a message, or an item of one, says of a device."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from hub.ingest.instants import Instant, instant
from hub.ingest.mapping.looking import MISSING, Look, Scope, condition, first, look, looked, text
from hub.ingest.mapping.schema import Each, EventRow, Metric, Part, TimeSpec, as_word
from hub.ingest.saying import Saying
from hub.ingest.values import converted, named, short
from hub.model.quantities import QUANTITIES

_MOST_ITEMS: Final = 1_000
_MOST_OTHERS: Final = 200
_SWITCHES: Final = {
    "true": True,
    "1": True,
    "on": True,
    "yes": True,
    "false": False,
    "0": False,
    "off": False,
    "no": False,
}
Say = Callable[[Scope, Saying], None]


class CompiledPart:
    """Says what `part` says of a message in a scope. Made once; keeps nothing of messages."""

    def __init__(self, part: Part, profile: str) -> None:
        self.part, self.profile = part, profile
        self.device = text(part.device) if part.device else None
        self.gateway = text(part.gateway) if part.gateway else None
        self.uid = text(part.uid) if part.uid else None
        self.site = text(part.site) if part.site else None
        self.address = text([part.address]) if part.address else None
        self.model = text(part.model) if part.model else None
        self.when = condition(part.when)
        self.values = look(part.values) if part.values is not None else None
        self.time = _timed(part.time) if part.time else None
        self.history = _flag(part.history)
        self.test = look(part.test) if part.test else None
        self.dedupe = text([part.dedupe]) if part.dedupe else None
        self.seq = first(part.seq) if part.seq else None
        self.interval = first(part.interval_s) if isinstance(part.interval_s, list) else None
        self.info = {name: looked(spec) for name, spec in part.info.items()}
        self.warnings = [(condition(row.when), row.text) for row in part.warn]
        self.events = [_event(row) for row in part.events]
        self.availability = _availability(part)
        self.metrics = [
            (source, look(source), _CompiledMetric(metric))
            for source, metrics in part.metrics.items()
            for metric in metrics
        ]
        self.named = {source.removeprefix("/") for source in part.metrics} | set(part.except_)
        self.each = [(CompiledPart(one, profile), one, look(one.at)) for one in part.each]

    def begin(self, scope: Scope, received_at_ms: int, zone: str, device: str) -> Saying:
        """A saying of `device`, as this part names it in the registry."""
        identity = (self.address(scope) if self.address else "") or device
        return Saying(self.profile, identity, device, received_at_ms, zone)

    def say(self, scope: Scope, saying: Saying, also: list[Saying]) -> None:
        """Adds to `saying` all that this part says; devices of their own come into `also`."""
        part, fields = self.part, saying.fields
        if self.time is not None:
            at = self.time(scope, saying)
            if at is not None:
                saying.at = at
        for name, find in (
            ("gateway", self.gateway),
            ("device_uid", self.uid),
            ("site", self.site),
            ("dedupe_key", self.dedupe),
        ):
            if find is not None and (found := find(scope)):
                fields[name] = found[:128]
        if self.seq is not None:
            self._number(fields, "seq", self.seq(scope))
        if self.interval is not None:
            value = self.interval(scope)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 31_536_000:
                fields["expected_interval_s"] = value
        elif isinstance(part.interval_s, int | float):
            fields["expected_interval_s"] = part.interval_s
        if self.info:
            info = {
                name: value
                for name, find in self.info.items()
                if (value := find(scope)) is not MISSING and value is not None
            }
            if info:
                fields["info"] = {**(fields.get("info") or {}), **info}
        if self.availability is not None:
            self.availability(scope, saying)
        inner = scope if self.values is None else scope.within(self.values(scope))
        self._metrics(inner, saying)
        if part.unknown:
            saying.unknown(*part.unknown)
        for event in self.events:
            event(scope, saying)
        for holds, remark in self.warnings:
            if holds is None or holds(scope):
                saying.warn(remark)
        for each, spec, find in self.each:
            self._each(each, spec, find(inner), inner, saying, also)
        if self.test is not None and self.test(scope) in (True, 1, "true", "1"):
            saying.findings.mark_tested()
        if self.history is not None and self.history(scope):
            saying.to_history()

    def _metrics(self, scope: Scope, saying: Saying) -> None:
        model = self.model(scope) if self.model else ""
        for source, find, metric in self.metrics:
            value = find(scope)
            if value is not MISSING:
                metric.put(value, source, scope, saying, model)
        if self.part.others == "ignore" or type(scope.body) is not dict:
            return
        keep = self.part.others == "keep"
        for n, (key, value) in enumerate(scope.body.items()):
            if key in self.named or isinstance(value, dict | list) or not isinstance(key, str) or n >= _MOST_OTHERS:
                continue
            if keep:
                saying.put(key[:100], value, key=key)
            elif self.part.others == "words":
                name = _ending(key[:100], value)
                saying.put_named(name or key[:100], value)
            elif named(key) is not None:
                saying.put_named(key[:100], value)

    def _each(
        self, each: CompiledPart, spec: Each, items: Any, scope: Scope, saying: Saying, also: list[Saying]
    ) -> None:
        if isinstance(items, dict):
            pairs = list(items.items())
        elif isinstance(items, list):
            pairs = [(str(n), item) for n, item in enumerate(items)]
        else:
            return
        if len(pairs) > min(spec.most, _MOST_ITEMS):
            saying.warn(f"{len(pairs)} items, only the first {spec.most} are read")
        by_device: dict[str, Saying] = {}
        for key, item in pairs[: spec.most]:
            within = scope.within(item, **({spec.key: str(key)[:128]} if spec.key else {}))
            if each.when is not None and not each.when(within):
                continue
            if each.device is None:
                outer = saying.at  # a record's own time must not stay for the next
                each.say(within, saying, also)
                saying.at = outer
                continue
            device = each.device(within)
            if not device:
                saying.warn("an item without a device: left out")
                continue
            own = by_device.get(device)
            if own is None:
                own = by_device[device] = each.begin(within, saying.received_at_ms, saying.zone, device)
                own.at = saying.at
                also.append(own)
            each.say(within, own, also)

    @staticmethod
    def _number(fields: dict[str, Any], name: str, value: Any) -> None:
        if isinstance(value, str) and value.isdecimal() and len(value) < 19:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
            fields[name] = value


class _CompiledMetric:
    """Turns one value into a reading."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.name = None if "{" in metric.quantity else metric.quantity
        self.template = look("=" + metric.quantity) if self.name is None else None
        self.when = condition(metric.when)
        self.times = [look(source) for source in metric.times]
        self.null = {as_word(value) for value in metric.null}
        self.absent = {as_word(value) for value in metric.absent}
        self.models = {
            model: _CompiledMetric(Metric.model_validate({**metric.model_dump(exclude={"models", "when"}), **changes}))
            for model, changes in metric.models.items()
        }

    def put(self, value: Any, source: str, scope: Scope, saying: Saying, model: str) -> None:
        if self.when is not None and not self.when(scope):
            return
        if model and model in self.models:
            self.models[model].put(value, source, scope, saying, "")
            return
        name = self.name
        if self.template is not None:
            found = self.template(scope)
            if found is MISSING:
                saying.warn(f"{short(source)}: no name for it: left out")
                return
            name = str(found)[:100]
        assert name is not None
        if isinstance(value, dict | list):
            saying.warn(f"{short(source or name)} is no plain value: left out")
            return
        metric = self.metric
        word = as_word(value) if self.null or self.absent or metric.words else ""
        if word in self.absent and self.absent:
            return
        if value is None or (self.null and word in self.null):
            saying.unknown(name)
            return
        if metric.words and word in metric.words:
            value = metric.words[word]
            if value is None:
                saying.unknown(name)
                return
        if metric.bit is not None:
            value = _bit(value, metric.bit)
        if metric.kind == "switch":
            value = _SWITCHES.get(as_word(value), value)
        elif metric.kind == "number" and isinstance(value, str):
            value = _as_number(value)
        if metric.scale != 1 or metric.offset or self.times:
            value = self._scaled(value, source, scope, saying)
            if value is None:
                saying.unknown(name)
                return
        before = len(saying.findings.readings)
        saying.put(name, value, unit=metric.unit, key=source or name)
        if metric.invert:
            readings = saying.findings.readings
            for n in range(before, len(readings)):
                if isinstance(readings[n].value, bool):
                    readings[n] = readings[n]._replace(value=not readings[n].value)

    def _scaled(self, value: Any, source: str, scope: Scope, saying: Saying) -> float | int | None:
        number = _as_number(value)
        if number is None:
            saying.warn(f"{short(source)} {short(value)} is not a number")
            return None
        factor: float = self.metric.scale
        for find in self.times:
            ratio = _as_number(find(scope))
            if ratio is None or ratio == 0:
                saying.warn(f"{short(source)}: a ratio of the transformer is missing: left out")
                return None
            factor *= ratio
        return round(number * factor + self.metric.offset, 9)


def simple_factor(metric: Metric) -> tuple[float, float] | None:
    """Factor and offset from the device's number to the quantity's unit, when that is all there is to do."""
    quantity = QUANTITIES.get(metric.quantity)
    if (
        quantity is None
        or metric.times
        or metric.when
        or metric.models
        or metric.null
        or metric.absent
        or metric.bit is not None
    ):
        return None
    if quantity.kind not in ("gauge", "counter"):
        return None
    factor, offset = metric.scale, metric.offset
    if metric.unit:
        zero, one = converted(quantity, 0.0, metric.unit), converted(quantity, 1.0, metric.unit)
        if zero is None or one is None:
            return None
        factor, offset = factor * (one - zero), offset * (one - zero) + zero
    return factor, offset


def _as_number(value: Any) -> float | int | None:
    if isinstance(value, bool) or value is MISSING or value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 32 else None
        except ValueError:
            return None
    if not isinstance(value, int | float) or value != value or abs(value) > 1e300:
        return None
    return value


def _ending(key: str, value: Any) -> str:
    """The longest common name that `key` is or ends with, if a value of it can be `value`; else ""."""
    words = key.lower().split("_")
    for n in range(len(words)):
        found = named("_".join(words[n:]))
        if found is not None:
            is_switch = QUANTITIES[found[0]].kind in ("switch", "state")
            if is_switch or not isinstance(value, bool):
                return "_".join(words[n:])
    return ""


def _bit(value: Any, bit: int) -> Any:
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = int(value, 0)
        except ValueError:
            return value
    return (
        bool(value >> bit & 1)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64
        else value
    )


def _flag(given: bool | str) -> Callable[[Scope], bool] | None:
    if isinstance(given, bool):
        return (lambda scope: True) if given else None
    find = look(given)
    return lambda scope: find(scope) in (True, 1, "true", "1", "yes")


def _timed(spec: TimeSpec) -> Callable[[Scope, Saying], Instant | None]:
    find = first(spec.source)
    to_ms = {"": None, "s": 1_000, "ms": 1, "us": 1e-3, "ns": 1e-6}[spec.unit]

    def at(scope: Scope, saying: Saying) -> Instant | None:
        value = find(scope)
        if value is MISSING or value is None:
            return None
        if spec.pattern and isinstance(value, str):
            try:
                value = datetime.strptime(value.strip(), spec.pattern).isoformat()
            except ValueError:
                saying.warn(f"time {short(value)} is not as {spec.pattern}")
                return Instant(warning="time")
        elif to_ms is not None:
            number = _as_number(value)
            value = round(number * to_ms) if number is not None and abs(number) < 1e20 else value
        found = instant(value, saying.received_at_ms, spec.zone or saying.zone)
        if found.warning:
            saying.warn(found.warning)
        return found

    return at


def _event(row: EventRow) -> Say:
    kind, holds = looked(row.type), condition(row.when)
    alarm = looked(row.alarm) if row.alarm else None
    active = looked(row.active) if row.active else None
    test = looked(row.test) if row.test else None
    detail = {name: looked(spec) for name, spec in row.detail.items()}

    def say(scope: Scope, saying: Saying) -> None:
        if holds is not None and not holds(scope):
            return
        what = kind(scope)
        if not isinstance(what, str) or not what:
            return
        more: dict[str, Any] = {}
        for name, find in detail.items():
            value = find(scope)
            if value is not MISSING:
                more[name] = value[:200] if isinstance(value, str) else value[:20] if isinstance(value, list) else value
        on, tested = _switch(active, scope), _switch(test, scope)
        of = alarm(scope) if alarm else ""
        if isinstance(of, str) and of:
            saying.alarm(of[:64], on, more, test=tested)
            if what != "alarm":
                saying.findings.events[-1] = saying.findings.events[-1]._replace(type=what[:64])
        else:
            saying.event(what, more, active=on, test=tested)

    return say


def _switch(find: Look | None, scope: Scope) -> bool | None:
    if find is None:
        return None
    value = find(scope)
    word = as_word(value) if not isinstance(value, dict | list) and value is not MISSING else ""
    return _SWITCHES.get(word)


def _availability(part: Part) -> Say | None:
    spec = part.availability
    if spec is None:
        return None
    find, cascade = first(spec.source), spec.cascade
    online, offline = {as_word(v) for v in spec.online}, {as_word(v) for v in spec.offline}

    def say(scope: Scope, saying: Saying) -> None:
        value = find(scope)
        if value is MISSING or isinstance(value, dict | list):
            return
        word = as_word(value)
        if word in online:
            saying.fields["availability"] = True
            saying.fields["cascade"] = cascade
        elif word in offline:
            saying.fields["availability"] = False
            saying.fields["cascade"] = cascade
        elif value is not None:
            saying.warn(f"availability {short(value)} is neither online nor offline")

    return say
