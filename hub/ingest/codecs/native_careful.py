"""The careful half of the native dialect: whatever is not exactly as the contract writes it, and the rarer channels."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hub.ingest.codecs.senml import resolve
from hub.ingest.findings import Findings
from hub.ingest.instants import Instant, instant
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object
from hub.ingest.topics import NODE_ITSELF, NativeTopic
from hub.ingest.values import canonical, short
from hub.model.quantities import ALARM_QUANTITY, QUANTITIES, WANTED
from hub.model.readings import Decoded, Event, Quality, Reading, Reject

NAME: Final = "native-v1"
_TEST: Final = int(Quality.TEST)
_HISTORY: Final = int(Quality.HISTORY)
_IGNORED: Final = {"ack": "answer to a command", "reject": "rejection by the hub"}
_COMMAND: Final = "command"
_OLD_COMMAND_MS: Final = 300_000
"""The answer to a command that lay longer than this (the hub was away) came long ago: nobody may wait for it."""
_EVENT_FIELDS: Final = frozenset(("v", "id", "seq", "ts", "type", "alarm", "active", "test", "m", "hist"))
_INFO: Final = {"kind": "kind", "vendor": "vendor", "model": "model", "fw": "firmware", "firmware": "firmware",
                "hw": "hardware", "metrics": "metrics"}  # fmt: skip


class Where(NamedTuple):
    """What a topic says, kept ready for the next message on it."""

    topic: NativeTopic
    address: str
    device: str
    gateway: str
    site: str
    is_state: bool
    quick: int


class CarefulReader:
    """Reads a body of any channel, and says what is odd about it."""

    def __init__(self, zone: str) -> None:
        self._zone = zone

    def read(self, where: Where, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        channel = where.topic.channel
        if len(payload) > MAX_BYTES:
            return self._reject(where, TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
        if channel in _IGNORED:
            return (self._said(where, ignored=_IGNORED[channel]),)
        if channel == "cmd":
            return self._command(where, payload, received_at_ms)
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
        self, where: Where, body: dict[str, Any], findings: Findings, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        """`tele` and `state`: values by name."""
        values = body.get("m")
        if not isinstance(values, dict):
            return self._reject(
                where, "missing field" if values is None else "bad field", "m must be an object of metrics", field="m"
            )
        at = self._time(body, findings, received_at_ms)
        quality = (_TEST if body.get("test") is True else 0) | (_HISTORY if body.get("hist") is True else 0)
        self._metrics(values, at.at_ms, quality, findings)
        if values.get("test") is True:
            findings.mark_tested()
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
        self, where: Where, body: dict[str, Any], findings: Findings, received_at_ms: int
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

    def _birth(self, where: Where, body: dict[str, Any], findings: Findings) -> tuple[Decoded, ...]:
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
        self, where: Where, body: dict[str, Any], findings: Findings, received_at_ms: int
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
        self, where: Where, body: dict[str, Any], findings: Findings, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        records = body.get("r")
        if not isinstance(records, list):
            return self._reject(where, "missing field", "r must be a list of records", field="r")
        for n, record in enumerate(records):
            if not isinstance(record, dict) or not isinstance(record.get("m"), dict):
                findings.warnings.append(f"r[{n}] is no record with m: left out")
                continue
            at = instant(record.get("ts"), received_at_ms, self._zone)
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

    def _command(self, where: Where, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...]:
        """What a command `{"id":…,"set":{…}}` asks for. Other commands (sirens) are none of the hub's readings.

        Taken at the time of receipt: the clock of who commands is not the device's, and would confuse what is known of it.
        """
        parsed = parse_object(payload)
        body = None if isinstance(parsed, Malformed) else parsed.value
        wishes = body.get("set") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(wishes, dict):
            return (self._said(where, ignored=_COMMAND),)
        findings = Findings()
        at = self._time(body, findings, received_at_ms)
        age_ms = 0 if at.at_ms is None else received_at_ms - at.at_ms
        old = age_ms > _OLD_COMMAND_MS or body.get("hist") is True
        quality = (_TEST if body.get("test") is True else 0) | (_HISTORY if old else 0)
        for name, value in wishes.items():
            if name in WANTED:
                findings.take(WANTED[name], value, at.at_ms if old else None, quality, key=name)
            else:
                findings.warnings.append(f"no rule can wait for {short(name)} to be set")
        readings = tuple(findings.readings)
        if not (readings or findings.unknown):
            return (self._said(where, ignored=_COMMAND, warnings=tuple(findings.warnings)),)
        if old:
            findings.warnings.append(f"the command is {age_ms // 1_000} s old: stored, not judged")
        return (
            self._said(
                where,
                readings=() if old else readings,
                history=readings if old else (),
                unknown=tuple(findings.unknown),
                dedupe_key=str(body.get("id") or "")[:128],
                warnings=tuple(findings.warnings),
            ),
        )

    def _senml(self, where: Where, body: Any, findings: Findings, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
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
        found = instant(value, received_at_ms, self._zone)
        if found.warning:
            findings.warnings.append(found.warning)
        elif found.at_ms is not None and (type(value) is not int or value != found.at_ms):
            findings.warnings.append("ts is not integer milliseconds")
        return found

    def _said(self, where: Where, **said: Any) -> Decoded:
        return Decoded(
            codec=NAME, address=where.address, device=where.device, gateway=where.gateway, site=where.site, **said
        )

    def _reject(self, where: Where, reason: str, detail: str, *, field: str = "") -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, field=field, device=where.device, address=where.address)


def _observed(reading: Reading) -> int:
    return reading.observed_at_ms or 0


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )
