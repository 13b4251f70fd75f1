"""JSON of no particular dialect: common key names on `{root}/…/{device}/{last level}`. Tolerant, and says what it tolerated."""

from __future__ import annotations

from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.findings import Findings
from hub.ingest.instants import ABSENT, Instant, instant
from hub.ingest.payload import EMPTY, Malformed, parse, text_of
from hub.ingest.topics import Filter
from hub.ingest.values import NOTHING, UNITS, Verdict, named, short
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded, Quality, Reading, Reject

NAME: Final = "generic-json"
_HISTORY: Final = int(Quality.HISTORY)
_TIMES: Final = ("ts", "timestamp", "time", "datetime", "date_time", "Time", "Timestamp", "observed_at", "created_at",
                 "measured_at", "sampled_at", "timeStamp", "last_seen", "时间")  # fmt: skip
_IDENTITIES: Final = ("device_id", "deviceId", "deviceid", "device", "dev_id", "devId", "id", "sn", "serial", "node_id")
_WRAPPERS: Final = frozenset(("data", "payload", "values", "params", "properties", "readings", "sensors", "measurements",
                              "telemetry", "metrics", "m", "object", "state", "status", "report", "reported"))  # fmt: skip
_VALUES: Final = ("value", "val", "v")
_KEYS: Final = ("name", "metric", "key", "n", "sensor", "type", "quantity", "property")
_NOT_READINGS: Final = frozenset((*_TIMES, *_IDENTITIES, "seq", "unit", "units", "v", "version", "name", "model", "type", "fw",
                                  "firmware", "hist", "history", "msg_id", "msgId", "message_id", "messageId", "test"))  # fmt: skip
_STATES: Final = frozenset(("state", "status", "availability", "online", "lwt", "connection"))
_TEMPERATURES: Final = frozenset(("temperature_c", "cable_temperature_c", "cell_temperature_c"))
_MOST_NESTED: Final = 4
_MOST_RECORDS: Final = 1_000


class GenericJsonCodec:
    """Decodes any topic below `root`. The device is the last level but one (the only level, if there is one). Never raises."""

    name = NAME

    def __init__(self, root: str, context: CodecContext | None = None) -> None:
        self.root = root
        self._context = context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        device, last = self._device(topic)
        address = f"{NAME}:{self.root}/{device}"
        if not device:
            return Reject(codec=NAME, reason="unknown topic", detail="no level for the device")
        parsed = parse(payload)
        message = _Message(address, device, received_at_ms, self._context.zone)
        if isinstance(parsed, Malformed):
            if parsed.reason == EMPTY:
                return (Decoded(codec=NAME, address=address, device=device, ignored="retained clear"),)
            plain = _plain_text(payload) if len(payload) <= 256 else None
            if plain is None:
                return message.reject(parsed.reason, parsed.detail)
            return message.scalar(plain, last) or message.reject("no schema", f"plain text {short(plain)}")
        message.findings.warnings.extend(parsed.warnings)
        value = parsed.value
        if isinstance(value, dict):
            return message.whole(value)
        if isinstance(value, list):
            return message.listed(value)
        return message.scalar(value, last) or message.reject("no schema", f"a bare value {short(value)}")

    def _device(self, topic: str) -> tuple[str, str]:
        if not topic.startswith(self.root + "/"):
            return "", ""
        levels = topic[len(self.root) + 1 :].split("/")
        return (levels[-2] if len(levels) > 1 else levels[-1]), (levels[-1] if len(levels) > 1 else "")


class _Message:
    """One message on its way to a Decoded."""

    def __init__(self, address: str, device: str, received_at_ms: int, zone: str) -> None:
        self.address, self.device = address, device
        self.received_at_ms, self.zone = received_at_ms, zone
        self.findings = Findings()
        self.availability: bool | None = None
        self.seq: int | None = None

    def reject(self, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=self.device, address=self.address)

    def said(
        self, at: Instant = ABSENT, *, history: bool = False, unknown: tuple[str, ...] = ()
    ) -> tuple[Decoded, ...]:
        findings = self.findings
        if not history:
            findings.name_alarms()
        readings: tuple[Reading, ...] = tuple(findings.readings)
        if at.at_ms is None and not at.warning:  # a wrapper or a value can carry the time instead of the message
            at = at._replace(at_ms=max((r.observed_at_ms for r in readings if r.observed_at_ms), default=None))
        return (
            Decoded(
                codec=NAME,
                address=self.address,
                device=self.device,
                readings=() if history else readings,
                history=readings if history else (),
                events=() if history else tuple(findings.events),
                unknown=unknown or tuple(findings.unknown),
                availability=self.availability,
                seq=self.seq,
                observed_at_ms=at.at_ms,
                ts_local=at.local,
                warnings=tuple(dict.fromkeys(findings.warnings)),
            ),
        )

    def scalar(self, value: Any, last: str) -> tuple[Decoded, ...] | None:
        """A bare value: nothing, a state of the connection, or the quantity that the topic's last level names."""
        if value is None or (isinstance(value, str) and value.strip().lower() in NOTHING):
            return self.said(unknown=("*",))
        if isinstance(value, float) and value != value:
            return self.said(unknown=("*",))
        if isinstance(value, str) and value.lower() in ("online", "offline"):
            self.availability = value.lower() == "online"
            return self.said()
        known = named(last) if last else None
        if known is None:
            return None
        self.findings.take(known[0], value, None, 0, unit=known[1], key=last)
        if self.findings.events and isinstance(value, str):
            return None  # a bare word that is none of an alarm's words can be one that was cut off
        return self.said()

    def whole(self, body: dict[str, Any]) -> tuple[Decoded, ...] | Reject:
        self._check_identity(body)
        if not body:
            return self.reject("no schema", "an empty object")
        at = self._time(body)
        self._record(body, at, 0)
        findings = self.findings
        something = findings.readings or findings.unknown or findings.events or findings.warnings
        if not something and self.availability is None and at is ABSENT:
            return self.reject("no schema", "no key of the object is a reading: " + short(", ".join(body)[:60]))
        return self.said(at, history=body.get("hist") is True)

    def listed(self, body: list[Any]) -> tuple[Decoded, ...] | Reject:
        """A list of objects: each is a record with a time of its own, or a named value."""
        records = [entry for entry in body if isinstance(entry, dict)]
        if not records or len(records) != len(body):
            return self.reject("no schema", "a list of bare values" if body else "an empty list")
        if len(records) > _MOST_RECORDS:
            return self.reject("too many objects", f"{len(records)} records, at most {_MOST_RECORDS}")
        latest = ABSENT
        for entry in records:
            at = self._time(entry)
            if at.at_ms is not None and (latest.at_ms is None or at.at_ms > latest.at_ms):
                latest = at
            pair = _named_value(entry)
            if pair is not None:
                self._put(pair[0], pair[1], at, str(entry.get("unit", "")))
            else:
                self._record(entry, at, 0)
        if not self.findings.readings and not self.findings.unknown:
            return self.reject("no schema", "no object of the list is a reading")
        return self.said(latest)

    def _record(self, body: dict[str, Any], at: Instant, depth: int) -> None:
        unit = body.get("unit", body.get("units", ""))
        unit = unit if isinstance(unit, str) else ""
        if "test" in body:
            self.findings.take("test", body["test"], at.at_ms, 0)
        seq = body.get("seq")
        if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 2**63:
            self.seq = seq
        for key, value in body.items():
            if key in _NOT_READINGS and not isinstance(value, dict | list):
                continue
            if isinstance(value, dict):
                self._nested(key, value, at, depth)
            elif isinstance(value, list):
                self._inner_list(key, value, at)
            elif key.lower() in _STATES:
                self._state(key, value, at)
            else:
                self._put(key, value, at, unit)

    def _nested(self, key: str, value: dict[str, Any], at: Instant, depth: int) -> None:
        inner = next((value[k] for k in _VALUES if k in value), Verdict.UNFIT)
        if inner is not Verdict.UNFIT and not isinstance(inner, dict | list):
            own = self._time(value)
            self._put(key, inner, at if own is ABSENT else own, str(value.get("unit", ""))[:12])
        elif key.lower() in _WRAPPERS and depth < _MOST_NESTED:
            own = self._time(value)
            self._record(value, at if own is ABSENT else own, depth + 1)
        else:
            self.findings.warnings.append(f"nested object {short(key)} is not understood: left out")

    def _inner_list(self, key: str, value: list[Any], at: Instant) -> None:
        pairs = [_named_value(entry) for entry in value[:_MOST_RECORDS] if isinstance(entry, dict)]
        if pairs and all(pairs):
            for entry, pair in zip(value, pairs, strict=False):
                if pair is not None:
                    own = self._time(entry)
                    self._put(pair[0], pair[1], at if own is ABSENT else own, str(entry.get("unit", "")))
        else:
            self.findings.warnings.append(f"list {short(key)} is not understood: left out")

    def _state(self, key: str, value: Any, at: Instant) -> None:
        word = value.strip().lower() if isinstance(value, str) else value
        if word in ("online", "offline") or (
            key.lower() in ("online", "availability") and isinstance(word, bool | int)
        ):
            self.availability = word == "online" if isinstance(word, str) else bool(word)
        elif word in ("on", "off"):
            self.findings.take("relay_on", word == "on", at.at_ms, 0, key=key)
        elif isinstance(word, str) and word in ("locked", "unlocked", "lock", "unlock"):
            self.findings.take("lock_state", word, at.at_ms, 0, key=key)
        elif isinstance(word, str) and word in QUANTITIES["charger_state"].states:
            self.findings.take("charger_state", word, at.at_ms, 0, key=key)

    def _put(self, key: str, value: Any, at: Instant, unit: str) -> None:
        known = named(key)
        findings = self.findings
        if known is None:
            self._unnamed(key, value, at, unit)
            return
        quantity, stated = known
        if (
            quantity == "smoke"
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and value not in (0, 1)
        ):
            findings.take(quantity, value, at.at_ms, 0, key=key)  # not a level that was stated: becomes a warning
            return
        if quantity == "battery_pct" and isinstance(value, float) and 0 < value < 1:
            findings.warnings.append(f"{key}: {value} taken as a fraction")
            value = round(value * 100, 6)
        if quantity == "power_factor" and isinstance(value, int | float) and 1 < abs(value) <= 100:
            findings.warnings.append(f"{key}: {value} taken as per cent")
            value = value / 100
        if quantity == "door_open" and isinstance(value, bool) and key.lower() == "door":
            findings.warnings.append("door: true taken as open")
        fits = stated or (unit if _fits(unit, quantity) else "")
        findings.take(quantity, value, at.at_ms, 0, unit=fits, key=key)

    def _unnamed(self, key: str, value: Any, at: Instant, unit: str) -> None:
        lower = key.lower()
        if lower in ("co", "carbon_monoxide"):
            self.findings.take("co_alarm" if isinstance(value, bool) else "co_ppm", value, at.at_ms, 0, key=key)
        elif lower == "gas":
            if isinstance(value, bool) or value is None or isinstance(value, str):
                self.findings.take("gas_alarm", value, at.at_ms, 0, key=key)
            elif _fits(unit, "gas_m3") or _fits(unit, "gas_lel_pct"):
                target = "gas_m3" if _fits(unit, "gas_m3") else "gas_lel_pct"
                self.findings.take(target, value, at.at_ms, 0, unit=unit, key=key)
            else:
                self.findings.keep(key, value, at.at_ms, 0, unit=unit)
                self.findings.warnings.append(f"gas {short(value)}: alarm, m³ or %LEL is not said")
        elif lower == "contact":
            self.findings.warnings.append("contact: true means closed to some and open to others, not guessed")
            self.findings.keep(key, value, at.at_ms, 0)
        elif value is not None and not isinstance(value, str):
            self.findings.keep(key, value, at.at_ms, 0, unit=unit)

    def _time(self, body: dict[str, Any]) -> Instant:
        for key in _TIMES:
            if key in body and not isinstance(body[key], dict | list):
                found = instant(body[key], self.received_at_ms, self.zone)
                if found.warning:
                    self.findings.warnings.append(found.warning)
                return Instant(found.at_ms, found.local, found.warning) if body[key] is not None else ABSENT
        return ABSENT

    def _check_identity(self, body: dict[str, Any]) -> None:
        for key in _IDENTITIES:
            said = body.get(key)
            if isinstance(said, str) and said and key != "id" and said != self.device:
                self.findings.warnings.append(
                    f"topic names {short(self.device)}, payload {short(said)}: the topic counts"
                )
                return


def _fits(unit: str, quantity: str) -> bool:
    """Whether a unit given beside the values can be that of `quantity`."""
    found = UNITS.get(unit.strip().replace(" ", "").lower()) if unit else None
    return found is not None and bool(found[0]) and found[0] == QUANTITIES[quantity].unit


def _named_value(entry: dict[str, Any]) -> tuple[str, Any] | None:
    """{"name": "temperature", "value": 21.5} as a pair."""
    name = next((entry[k] for k in _KEYS if isinstance(entry.get(k), str)), None)
    if name is None:
        return None
    for key in _VALUES:
        if key in entry and not isinstance(entry[key], dict | list):
            return name, entry[key]
    return None


def _plain_text(payload: bytes) -> Any:
    """A payload that is no JSON as one word, or None when it is more than that."""
    text = text_of(payload)[0].strip()
    if not text or len(text) > 64 or any(c in text for c in "{}[]<>\"'\n,;=") or not text.isprintable():
        return None
    return text


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    """The first level (with the empty one before it, if the topic begins with a slash)."""
    levels = topic.split("/")
    return "/".join(levels[:2]) if topic.startswith("/") else levels[0]
