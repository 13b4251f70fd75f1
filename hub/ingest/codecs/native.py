"""The hub's own dialect: `{root}/{site}/{node}/{device}/{channel}`. See docs/integrators.md for the contract.

What is exactly as the contract writes it takes a quick path (typed msgspec structs); everything else the careful one, which
says what is odd.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.senml import resolve
from hub.ingest.findings import Findings
from hub.ingest.instants import AHEAD_MS, EARLIEST_MS, Instant, instant
from hub.ingest.payload import MAX_BYTES, STRICT_ERRORS, TOO_LARGE, Malformed, parse_object
from hub.ingest.topics import NATIVE_ROOT, NODE_ITSELF, Filter, NativeTopic, parse_native
from hub.ingest.values import canonical, short
from hub.model.quantities import ALARM_QUANTITY, BY_CODE, QUANTITIES
from hub.model.readings import Decoded, Event, Quality, Reading, Reject

NAME: Final = "native-v1"
_CLOCK: Final = int(Quality.CLOCK)
_TEST: Final = int(Quality.TEST)
_HISTORY: Final = int(Quality.HISTORY)
_REMEMBERED_TOPICS: Final = 200_000
_MEASURED: Final = frozenset(q.name for q in BY_CODE if q.kind in ("gauge", "counter"))
_IGNORED: Final = {"cmd": "command", "ack": "answer to a command", "reject": "rejection by the hub"}
_new: Final = tuple.__new__  # Reading(...) without the cost of its keyword handling


_SWITCHES: Final = frozenset(q.name for q in BY_CODE if q.kind == "switch")
_STATES: Final = {q.name: frozenset(q.states) for q in BY_CODE if q.kind == "state"}
_QUICK_BYTES: Final = 4_096
_TELE, _LEVELS, _EVENT, _CAREFUL = range(4)  # which quick path a channel has
_QUICK: Final = {"tele": _TELE, "state": _LEVELS, "event": _EVENT}


class _Tele(msgspec.Struct, gc=False):
    m: dict[str, float]
    seq: int | None = None
    ts: int | None = None
    v: int = 1
    hist: bool = False
    test: bool = False


class _Levels(msgspec.Struct, gc=False):
    m: dict[str, bool | float | str | None]
    seq: int | None = None
    ts: int | None = None
    v: int = 1
    hist: bool = False
    test: bool = False


class _Alarm(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    id: str
    type: str
    alarm: str
    active: bool
    test: bool = False
    seq: int | None = None
    ts: int | None = None
    v: int = 1


_tele: Final = msgspec.json.Decoder(_Tele).decode
_levels: Final = msgspec.json.Decoder(_Levels).decode
_event: Final = msgspec.json.Decoder(_Alarm).decode


class _Where(NamedTuple):
    """What a topic says, kept ready for the next message on it."""

    topic: NativeTopic
    address: str
    device: str
    gateway: str
    site: str
    is_state: bool
    quick: int


class NativeCodec:
    """Decodes native-v1 below `root`. `decode` never raises and never takes more than milliseconds."""

    name = NAME

    def __init__(self, root: str = NATIVE_ROOT, context: CodecContext | None = None) -> None:
        self.root = root
        self._context = context or CodecContext()
        self._where: dict[str, _Where | Reject] = {}

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        where = self._where.get(topic) or self._locate(topic)
        if isinstance(where, Reject):
            return where
        found: tuple[Decoded, ...] | None = None
        if len(payload) <= _QUICK_BYTES:
            _, address, device, gateway, site, _, quick = where
            if quick == _TELE:
                try:
                    said = _tele(payload)
                except STRICT_ERRORS:
                    quick = _LEVELS
                else:
                    ts, m = said.ts, said.m
                    quality = 0
                    if ts is None:
                        quality, timely = _CLOCK, True
                    else:
                        timely = EARLIEST_MS <= ts <= received_at_ms + AHEAD_MS
                    if timely and said.v == 1 and not said.hist and not said.test and _MEASURED.issuperset(m):
                        return (
                            Decoded(
                                codec=NAME,
                                address=address,
                                device=device,
                                readings=tuple(
                                    [_new(Reading, (name, value, ts, quality, "", None)) for name, value in m.items()]
                                ),
                                seq=said.seq,
                                gateway=gateway,
                                site=site,
                                observed_at_ms=ts,
                            ),
                        )
            if quick <= _LEVELS:
                found = self._quick_levels(where, payload, received_at_ms)
            elif quick == _EVENT:
                found = self._quick_event(where, payload, received_at_ms)
        return found or self._carefully(where, payload, received_at_ms)

    def _quick_levels(self, where: _Where, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | None:
        """Values of any kind that need no care, or None."""
        try:
            said = _levels(payload)
        except STRICT_ERRORS:
            return None
        ts = said.ts
        if said.v != 1 or said.hist or said.test or not (ts is None or EARLIEST_MS <= ts <= received_at_ms + AHEAD_MS):
            return None
        quality = _CLOCK if ts is None else 0
        readings: list[Reading] = []
        for name, value in said.m.items():
            fits = type(value)
            if fits is bool:
                if name not in _SWITCHES or (value and name == "test"):
                    return None
            elif fits is float:
                if name not in _MEASURED:
                    return None
            elif fits is not str or name not in _STATES or value not in _STATES[name]:
                return None
            readings.append(_new(Reading, (name, value, ts, quality, "", None)))
        return (
            Decoded(
                codec=NAME,
                address=where.address,
                device=where.device,
                readings=tuple(readings),
                seq=said.seq,
                gateway=where.gateway,
                site=where.site,
                observed_at_ms=ts,
                retained_state=where.is_state,
            ),
        )

    def _quick_event(self, where: _Where, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | None:
        """A plain alarm as the contract writes it, or None."""
        try:
            said = _event(payload)
        except STRICT_ERRORS:
            return None
        ts, quantity = said.ts, ALARM_QUANTITY.get(said.alarm)
        if (
            quantity is None
            or said.v != 1
            or said.type != "alarm"
            or not said.id
            or len(said.id) > 128
            or not (ts is None or EARLIEST_MS <= ts <= received_at_ms + AHEAD_MS)
        ):
            return None
        quality = (_CLOCK if ts is None else 0) | (_TEST if said.test else 0)
        return (
            Decoded(
                codec=NAME,
                address=where.address,
                device=where.device,
                readings=(_new(Reading, (quantity, said.active, ts, quality, "", None)),),
                events=(Event("alarm", said.alarm, said.active, said.test),),
                dedupe_key=said.id,
                seq=said.seq,
                gateway=where.gateway,
                site=where.site,
                observed_at_ms=ts,
            ),
        )

    def _locate(self, topic: str) -> _Where | Reject:
        parsed = parse_native(topic, self.root)
        found: _Where | Reject
        if isinstance(parsed, Reject):
            found = parsed
        else:
            itself = parsed.device == NODE_ITSELF
            found = _Where(
                parsed,
                parsed.address,
                parsed.node if itself else parsed.device,
                "" if itself else parsed.node,
                parsed.site,
                parsed.channel == "state",
                _QUICK.get(parsed.channel, _CAREFUL),
            )
        if len(self._where) >= _REMEMBERED_TOPICS:
            self._where.clear()
        if len(topic) <= 512:
            self._where[topic] = found
        return found

    def _carefully(self, where: _Where, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        channel = where.topic.channel
        if len(payload) > MAX_BYTES:
            return self._reject(where, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if channel in _IGNORED:
            return (self._said(where, ignored=_IGNORED[channel]),)
        if not payload.strip():
            return (self._said(where, ignored="retained clear"),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return self._reject(where, parsed.reason, parsed.detail)
        body = parsed.value
        findings = Findings()
        findings.warnings.extend(parsed.warnings)
        if channel == "senml":
            return self._senml(where, body, findings, received_at_ms)
        if not isinstance(body, dict):
            return self._reject(where, "not an object", f"the body is {_kind(body)}")
        if body.get("v", 1) != 1:
            findings.warnings.append(f"contract version {short(body.get('v'))}, this hub speaks 1")
        match channel:
            case "event":
                return self._event(where, body, findings, received_at_ms)
            case "birth":
                return self._birth(where, body, findings)
            case "online":
                return self._online(where, body, findings, received_at_ms)
            case "batch":
                return self._batch(where, body, findings, received_at_ms)
            case _:
                return self._levels(where, body, findings, received_at_ms)

    def _levels(
        self, where: _Where, body: dict[str, Any], findings: Findings, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        """`tele` and `state`: values by name."""
        values = body.get("m")
        if not isinstance(values, dict):
            return self._reject(
                where, "missing field" if values is None else "bad field", "m must be an object of metrics", field="m"
            )
        at = self._time(body, findings, received_at_ms)
        test = body.get("test") is True or values.get("test") is True
        quality = (_TEST if test else 0) | (_HISTORY if body.get("hist") is True else 0)
        self._metrics(values, at.at_ms, quality, findings)
        readings = tuple(findings.readings)
        history: tuple[Reading, ...] = ()
        if quality & _HISTORY:
            readings, history = (), readings
        return (
            self._said(
                where,
                readings=readings,
                history=history,
                events=tuple(findings.events),
                unknown=tuple(findings.unknown),
                seq=_whole(body.get("seq")),
                observed_at_ms=at.at_ms,
                ts_local=at.local,
                retained_state=where.topic.channel == "state",
                warnings=tuple(findings.warnings),
            ),
        )

    def _event(
        self, where: _Where, body: dict[str, Any], findings: Findings, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        kind = body.get("type")
        if not isinstance(kind, str) or not kind:
            return self._reject(where, "missing field", "an event needs a type", field="type")
        at = self._time(body, findings, received_at_ms)
        test = body.get("test")
        if test is not None and not isinstance(test, bool):
            test = canonical(QUANTITIES["test"], test, "", "test", findings.warnings)
            test = test if isinstance(test, bool) else None
        history = body.get("hist") is True
        quality = (_TEST if test else 0) | (_HISTORY if history else 0)
        alarm, active = "", None
        if kind == "alarm" or "alarm" in body:
            alarm = str(body.get("alarm", ""))[:64]
            active = self._alarm(alarm, body, at.at_ms, quality, findings)
        elif "result" in body:
            findings.take("access_result", body["result"], at.at_ms, quality)
        if isinstance(body.get("m"), dict):
            self._metrics(body["m"], at.at_ms, quality, findings)
        if not (history or body.get("id")):
            findings.warnings.append("event without id: a repetition cannot be told from a second event")
        detail = {k: v for k, v in body.items() if k not in _EVENT_FIELDS}
        findings.events.insert(0, Event(kind[:64], alarm, active, test, detail or None))
        readings = tuple(findings.readings)
        return (
            self._said(
                where,
                readings=() if history else readings,
                history=readings if history else (),
                events=() if history else tuple(findings.events),
                unknown=tuple(findings.unknown),
                dedupe_key=str(body.get("id") or "")[:128],
                seq=_whole(body.get("seq")),
                observed_at_ms=at.at_ms,
                ts_local=at.local,
                warnings=tuple(findings.warnings),
            ),
        )

    def _alarm(
        self, alarm: str, body: dict[str, Any], at_ms: int | None, quality: int, findings: Findings
    ) -> bool | None:
        """The switch that the alarm sets. What is unclear becomes a warning, never silence."""
        active: Any = body.get("active")
        if active is None:
            findings.warnings.append("alarm without active: taken as active")
            active = True
        name = ALARM_QUANTITY.get(alarm) or (alarm if alarm in QUANTITIES and QUANTITIES[alarm].alarm else "")
        if not name:
            findings.warnings.append(f"alarm {short(alarm)} has no quantity here: shown, not judged by rules")
            return active if isinstance(active, bool) else None
        findings.take(name, active, at_ms, quality, key="active")
        level = findings.readings[-1].value if findings.readings else None
        return level if isinstance(level, bool) else None

    def _birth(self, where: _Where, body: dict[str, Any], findings: Findings) -> tuple[Decoded, ...]:
        info = {_INFO.get(k, k): v for k, v in body.items() if k in _INFO and v is not None}
        interval = body.get("interval_s")
        good = isinstance(interval, int | float) and not isinstance(interval, bool) and 0 < interval <= 31_536_000
        if interval is not None and not good:
            findings.warnings.append(f"interval_s {short(interval)} is not a number of seconds up to a year")
        for metric in body.get("metrics") or () if isinstance(body.get("metrics"), list) else ():
            if isinstance(metric, str) and metric not in QUANTITIES:
                findings.warnings.append(f"metric {short(metric)} is not known to this hub")
        return (
            self._said(
                where,
                expected_interval_s=interval if good else None,
                info=info or None,
                retained_state=True,
                warnings=tuple(findings.warnings),
            ),
        )

    def _online(
        self, where: _Where, body: dict[str, Any], findings: Findings, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        if "online" not in body:
            return self._reject(where, "missing field", "online must be true or false", field="online")
        online = canonical(QUANTITIES["online"], body["online"], "", "online", findings.warnings)
        if not isinstance(online, bool):
            return self._reject(where, "bad field", f"online is {short(body['online'])}", field="online")
        is_will = not online and body.get("reason") == "lwt"
        if is_will and "ts" in body:
            findings.warnings.append("ts in a will is the time of its CONNECT: not used")
        at = Instant() if is_will else self._time(body, findings, received_at_ms)
        return (
            self._said(
                where,
                availability=online,
                cascade=not online and where.topic.device == NODE_ITSELF,
                info={k: body[k] for k in ("boot", "reason") if k in body} or None,
                observed_at_ms=at.at_ms,
                ts_local=at.local,
                retained_state=True,
                warnings=tuple(findings.warnings),
            ),
        )

    def _batch(
        self, where: _Where, body: dict[str, Any], findings: Findings, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        records = body.get("r")
        if not isinstance(records, list):
            return self._reject(where, "missing field", "r must be a list of records", field="r")
        for n, record in enumerate(records):
            if not isinstance(record, dict) or not isinstance(record.get("m"), dict):
                findings.warnings.append(f"r[{n}] is no record with m: left out")
                continue
            at = instant(record.get("ts"), received_at_ms, self._context.zone)
            if at.at_ms is None:
                findings.warnings.append(f"r[{n}] has no usable ts: left out ({at.warning or 'ts missing'})")
                continue
            self._metrics(record["m"], at.at_ms, _HISTORY, findings)
        last = records[-1] if records and isinstance(records[-1], dict) else {}
        return (
            self._said(
                where,
                history=tuple(sorted(findings.readings, key=_observed)),
                seq=_whole(last.get("seq")),
                warnings=tuple(dict.fromkeys(findings.warnings)),
            ),
        )

    def _senml(self, where: _Where, body: Any, findings: Findings, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        records = resolve(body, received_at_ms, findings.warnings)
        if isinstance(records, str):
            return self._reject(where, "bad SenML", records)
        for record in records:
            record.put(record.name or record.base, findings, exact=True)
        times = [r.observed_at_ms for r in findings.readings if r.observed_at_ms is not None]
        return (
            self._said(
                where,
                readings=tuple(findings.readings),
                events=tuple(findings.events),
                unknown=tuple(findings.unknown),
                observed_at_ms=max(times, default=None),
                warnings=tuple(dict.fromkeys(findings.warnings)),
            ),
        )

    def _metrics(self, values: dict[str, Any], at_ms: int | None, quality: int, findings: Findings) -> None:
        for name, value in values.items():
            if name in QUANTITIES:
                findings.take(name, value, at_ms, quality)
            elif findings.keep(name, value, at_ms, quality):
                findings.warnings.append(f"metric {short(name)} is not known to this hub")
            else:
                findings.warnings.append(f"metric {short(name)} is {_kind(value)}, expected a plain value")

    def _time(self, body: dict[str, Any], findings: Findings, received_at_ms: int) -> Instant:
        value = body.get("ts")
        found = instant(value, received_at_ms, self._context.zone)
        if found.warning:
            findings.warnings.append(found.warning)
        elif found.at_ms is not None and (type(value) is not int or value != found.at_ms):
            findings.warnings.append("ts is not integer milliseconds")
        return found

    def _said(self, where: _Where, **said: Any) -> Decoded:
        return Decoded(
            codec=NAME, address=where.address, device=where.device, gateway=where.gateway, site=where.site, **said
        )

    def _reject(self, where: _Where, reason: str, detail: str, *, field: str = "") -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, field=field, device=where.device, address=where.address)


_EVENT_FIELDS: Final = frozenset(("v", "id", "seq", "ts", "type", "alarm", "active", "test", "m", "hist"))
_INFO: Final = {"kind": "kind", "vendor": "vendor", "model": "model", "fw": "firmware", "firmware": "firmware",
                "hw": "hardware", "metrics": "metrics"}  # fmt: skip


def _observed(reading: Reading) -> int:
    return reading.observed_at_ms or 0


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def filters(root: str) -> tuple[Filter, ...]:
    """Alarm channels on the fire lane, the rest on the main one; commands and answers are not received."""
    alarms = tuple(Filter(f"{root}/+/+/+/{channel}", "fire") for channel in ("event", "state"))
    return alarms + tuple(
        Filter(f"{root}/+/+/+/{channel}") for channel in ("tele", "birth", "online", "batch", "senml")
    )


def root_of(topic: str) -> str:
    """Everything before the four levels of the grammar."""
    return "/".join(topic.split("/")[:-4]) or NATIVE_ROOT
