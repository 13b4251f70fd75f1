"""From journal records to columns: decode, find the device, screen, and cut at ticks. Per-reading Python ends here."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hub.ingest.plain import CODE_BYTES, Glance
from hub.ingest.screen import Screen
from hub.model.quantities import ALARM_QUANTITY, BY_CODE, CODE, OWN, QUANTITIES, coded
from hub.model.readings import Decoded, Quality, QuarantineRow, Reading, ReadingBatch, Reject
from hub.registry.snapshot import Registry
from hub.stores.journal import TICK, Record
from hub.telemetry import REJECTED, log

HUB_TOPIC = "$hub/"
"""Topics under which the hub tells of itself; no device can publish there through a broker session of ours."""
REPLAY_TOPIC = HUB_TOPIC + "replay/"
"""`{REPLAY_TOPIC}{ms}/{topic}`: a message that came at `ms`, and could not be used then, is read once more."""
FLOOD_TOPIC = HUB_TOPIC + "flood/"
"""`{FLOOD_TOPIC}{count}/{topic}`: so many messages were dropped before the journal; the payload is the device's address."""
FLOOD_REASON = "too many messages"
_BIG = 1 << 62
_RETAINED, _HISTORY, _DUPLICATE = int(Quality.RETAINED), int(Quality.HISTORY), int(Quality.DUPLICATE)
_UNKNOWN, _CLOCK = int(Quality.UNKNOWN), int(Quality.CLOCK)
_NAN = float("nan")
_OWN = np.array([quantity.name in OWN for quantity in BY_CODE])
_KEPT_BYTES = 65_536
_MOST_KINDS = 1_000


@dataclass(slots=True)
class _Aside:
    """Rejected messages of one topic for one reason, so far."""

    codec: str
    detail: str
    address: str
    count: int
    first_at_ms: int
    last: Record


class Decode(Protocol):
    """`hub.ingest.router.Router.decode`."""

    def __call__(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of the journal that ends at a tick or where the records ended.

    `batch` holds the readings of records `first` … before `next`; `tick_ms` is set when the last record was a tick.
    """

    batch: ReadingBatch
    first: int
    next: int
    tick_ms: int | None
    last_ms: int
    quarantine: tuple[QuarantineRow, ...] = ()


class Reader:
    """Turns records into segments. Keeps the screen's memory; one owner thread.

    `plain` tells an everyday message at a glance (`Router.plain`); without it all go the general way, with equal results.
    """

    def __init__(
        self, decode: Decode, registry: Callable[[], Registry], screen: Screen, *, plain: Glance | None = None
    ) -> None:
        self.decode, self.registry, self.screen = decode, registry, screen
        self.plain: Glance = plain or (lambda topic, payload, received_at_ms: None)
        self.messages = 0
        self.unmapped = 0
        self._clear()

    def _clear(self) -> None:
        # six numbers per stretch of readings that share them: slot, receive time, position, time of measuring, flags, count
        self._heads: list[int] = []
        self._codes = bytearray()  # of the readings, two bytes each
        self._values: list[float] = []
        self._own_at: set[int] = set()  # positions of what the hub itself said
        self._quarantine: dict[tuple[str, str], _Aside] = {}

    def read(self, records: Sequence[Record]) -> list[Segment]:
        """Segments of `records`, in order. Never raises for what a device sent."""
        segments: list[Segment] = []
        if not records:
            return segments
        registry = self.registry()
        slot_of, decode, plain, came_before = registry.slot_of_address, self.decode, self.plain, self.screen.came_before
        heads, codes, values = self._heads, self._codes, self._values
        first = records[0].position
        last = records[-1]
        for record in records:  # the hot loop: every message passes here once
            position, kind, at_ms, topic, payload, retained = record
            if kind == TICK:
                segments.append(self._segment(registry, first, record, tick=True))
                heads, codes, values = self._heads, self._codes, self._values
                first = position + 1
                continue
            self.messages += 1
            try:
                everyday = None if retained else plain(topic, payload, at_ms)
                if everyday is not None:
                    address, observed, seq, shape, numbers = everyday
                    slot = slot_of.get(address)
                    if slot is not None:
                        repeated = came_before(slot, address, "", observed, seq, payload, position, at_ms)
                        flags = _DUPLICATE if repeated else 0
                        if observed is None:
                            observed, flags = at_ms, flags | _CLOCK
                        heads += (slot, at_ms, position, observed, flags, len(numbers))
                        codes += shape
                        values += numbers
                        continue
                if topic.startswith(HUB_TOPIC):
                    if topic.startswith(REPLAY_TOPIC):
                        self._again(registry, record)
                    elif topic.startswith(FLOOD_TOPIC):
                        self._flooded(record)
                    else:
                        self._own(registry, record)
                    continue
                said = decode(topic, payload, received_at_ms=at_ms, retained=retained)
            except Exception as fault:  # a codec never raises; should one do so, the records behind it must go on
                log.exception("reader.codec_failed", topic=topic[:200], position=record.position)
                self._set_aside(record, "fault of the hub", "-", f"the codec failed: {fault!r}", "")
                continue
            if isinstance(said, Reject):
                self._set_aside(record, said.reason, said.codec, said.detail, said.address)
                continue
            for one in said:
                slot = slot_of.get(one.address)
                if one.ignored:
                    continue
                if slot is None:
                    remedy = "add it to devices.csv, or stop it from publishing"
                    self._set_aside(record, "unknown device", one.codec, remedy, one.address)
                else:
                    self._said(registry, slot, one, record)
        if first <= last.position:
            segments.append(self._segment(registry, first, last, tick=False))
        return segments

    def _said(self, registry: Registry, slot: int, one: Decoded, record: Record) -> None:
        observed = one.observed_at_ms
        flags = 0
        if record.retained:
            flags = _RETAINED
            interval = int(registry.expected_interval_ms[slot])
            if self.screen.retained_is_old(observed, record.at_ms, interval, one.retained_state):
                flags |= _HISTORY
        elif self.screen.is_repeated(slot, one, record.payload, record.position, record.at_ms):
            flags = _DUPLICATE
        if one.readings:
            self._stretch(registry, slot, record, flags, observed, one.readings)
        if one.history:
            self._stretch(registry, slot, record, flags | _HISTORY, observed, one.history)
        if one.unknown:
            unknown = tuple(Reading(name, None, None, _UNKNOWN) for name in one.unknown if name != "*")
            self._stretch(registry, slot, record, flags, None, unknown)
        if one.availability is not None:
            self._stretch(registry, slot, record, flags & ~_HISTORY, None, (Reading("online", one.availability, None),))
        for event in one.events:
            if event.type == "alarm_unclear":  # neither on nor off: unknown to the rules, but never silence
                what = event.detail or {}
                detail = f"{what.get('key', event.alarm)}: {what.get('value', 'this')} is no known value"
                self._set_aside(record, f"unclear alarm value: {event.alarm}", one.codec, detail, one.address)
            elif (event.alarm or event.type == "alarm") and event.active is not False and not _is_known(event.alarm):
                detail = f"no rule can judge an alarm called {event.alarm!r}"  # so a person must see it
                self._set_aside(record, "unknown alarm", one.codec, detail, one.address)

    def _stretch(
        self,
        registry: Registry,
        slot: int,
        record: Record,
        flags: int,
        observed_at_ms: int | None,
        readings: tuple[Reading, ...],
    ) -> None:
        """Takes `readings` that share device, record, flags and, where they say none themselves, time."""
        given_ms = record.at_ms if observed_at_ms is None else observed_at_ms
        count, before, before_ms = 0, 0, 0  # of readings that share all of it
        for reading in readings:
            name, value, own_ms, quality, _, _ = reading
            code = CODE.get(name)
            if code is None:
                self.unmapped += 1
                continue
            number = value if type(value) is float else _number(code, value)
            if number is None:
                quality |= _UNKNOWN
                if value is not None:
                    where = (registry, slot, record.position, record.at_ms)
                    self._odd_value(*where, f"unknown value of {name}", repr(value)[:100])
            at_ms = given_ms if own_ms is None else own_ms
            if count and (quality != before or at_ms != before_ms):
                self._heads += (slot, record.at_ms, record.position, before_ms, flags | before, count)
                count = 0
            count, before, before_ms = count + 1, quality, at_ms
            self._codes += CODE_BYTES[code]
            self._values.append(_NAN if number is None else number)
        if count:
            self._heads += (slot, record.at_ms, record.position, before_ms, flags | before, count)

    def _own(self, registry: Registry, record: Record) -> None:
        """What the hub says of itself (topic $hub/<quantity>) or knows of a device ($hub/<device>/<quantity>): a number."""
        device, _, name = record.topic.removeprefix(HUB_TOPIC).rpartition("/")
        slot, code = registry.slot_of.get(device or "hub"), CODE.get(name)
        if slot is None or code is None:
            return
        self._own_at.add(record.position)
        self._stretch(registry, slot, record, 0, None, (Reading(BY_CODE[code].name, float(record.payload)),))

    def _flooded(self, record: Record) -> None:
        """Messages that the flood guard has dropped, counted like any others that could not be used."""
        count, _, topic = record.topic.removeprefix(FLOOD_TOPIC).partition("/")
        if not (count.isdecimal() and len(count) < 12):
            return
        detail = "dropped before the journal: the device sends far more often than it should"
        address = record.payload.decode("utf-8", "replace")
        self._set_aside(record._replace(topic=topic, payload=b""), FLOOD_REASON, "flood", detail, address, int(count))

    def _again(self, registry: Registry, record: Record) -> None:
        """A message that came earlier: stored at its own time; judged by rules only as long as it is not late."""
        came, _, topic = record.topic.removeprefix(REPLAY_TOPIC).partition("/")
        if not (came.isdecimal() and len(came) < 15):
            return
        at_ms = int(came)
        flags = _HISTORY if record.at_ms - at_ms > self.screen.limits.late_ms else 0
        said = self.decode(topic, record.payload, received_at_ms=at_ms, retained=False)
        if isinstance(said, Reject):
            self._set_aside(record._replace(topic=topic), said.reason, said.codec, said.detail, said.address)
            return
        for one in said:
            slot = registry.slot_of_address.get(one.address)
            if one.ignored or slot is None:
                continue
            observed = at_ms if one.observed_at_ms is None else one.observed_at_ms
            if one.readings:
                self._stretch(registry, slot, record, flags, observed, one.readings)
            if one.history:
                self._stretch(registry, slot, record, flags | _HISTORY, observed, one.history)

    def _set_aside(self, record: Record, reason: str, codec: str, detail: str, address: str, count: int = 1) -> None:
        REJECTED.labels(codec=codec, reason=reason.split(":")[0][:60]).inc(count)
        topic = record.topic
        key = (topic, reason)
        if key not in self._quarantine and len(self._quarantine) >= _MOST_KINDS:
            key = ("(many topics)", reason)
        entry = self._quarantine.get(key)
        if entry is None:
            self._quarantine[key] = _Aside(codec, detail, address, count, record.at_ms, record)
        else:
            entry.detail, entry.address, entry.last = detail, address, record
            entry.count += count

    def _segment(self, registry: Registry, first: int, last: Record, *, tick: bool) -> Segment:
        batch = self._batch(registry, last)
        kept = tuple(
            QuarantineRow(
                topic=_storable(topic, 1_000),
                reason=reason[:200],
                codec=e.codec,
                detail=_storable(e.detail, 500),
                address=_storable(e.address, 500),
                count=e.count,
                first_at_ms=e.first_at_ms,
                last_at_ms=e.last.at_ms,
                position=e.last.position,
                payload=e.last.payload[:_KEPT_BYTES],
            )
            for (topic, reason), e in self._quarantine.items()
        )
        self._clear()
        return Segment(
            batch=batch,
            first=first,
            next=last.position + 1,
            tick_ms=last.at_ms if tick else None,
            last_ms=last.at_ms,
            quarantine=kept,
        )

    def _batch(self, registry: Registry, last: Record) -> ReadingBatch:
        if not self._values:
            return ReadingBatch.empty()
        packed = struct.pack(f"{len(self._heads)}q", *self._heads)  # much quicker than np.array
        heads = np.frombuffer(packed, np.int64).reshape(-1, 6).T.copy()
        slots, received, position, observed, flags, count = heads
        self.screen.judge_time(slots, observed, received, flags)
        received, position, observed = np.repeat(heads[1:4], count, axis=1)
        slot = np.repeat(slots.astype(np.int32), count)
        quality = np.repeat(flags.astype(np.uint16), count)
        quantity = np.frombuffer(self._codes, np.int16)
        value = np.frombuffer(struct.pack(f"{len(self._values)}d", *self._values)).copy()
        for row in self.screen.judge_values(quantity, value, quality):
            where = (registry, int(slot[row]), int(position[row]), int(received[row]))
            self._odd_value(*where, *_implausible(int(quantity[row]), self._values[row]))
        self.screen.judge_order(slot, quantity, value, observed, received, quality)
        for row in np.flatnonzero(_OWN[quantity]).tolist():
            if int(position[row]) not in self._own_at:  # else one detector alone could confirm its own fire
                quality[row] |= np.uint16(Quality.IMPLAUSIBLE)
                value[row] = _NAN
                where = (registry, int(slot[row]), int(position[row]), int(received[row]))
                self._odd_value(
                    *where, f"{BY_CODE[int(quantity[row])].name} is for the hub to say", f"{self._values[row]:g}"
                )
        return ReadingBatch(
            slot=slot,
            quantity=quantity,
            value=value,
            observed_at_ms=observed,
            received_at_ms=received,
            quality=quality,
            position=position,
            grid=registry.grid[slot],
            building=registry.building[slot],
        )

    def _odd_value(self, registry: Registry, slot: int, position: int, at_ms: int, reason: str, detail: str) -> None:
        address = registry.device(slot).addresses[0] if registry.device(slot).addresses else registry.ids[slot]
        record = Record(position=position, kind=0, at_ms=at_ms, topic=address, payload=b"", retained=False)
        self._set_aside(record, reason, "screen", detail, address)


def _number(code: int, value: object) -> float | None:
    """`value` as it travels in a batch; None when it is no value of the quantity."""
    if type(value) is bool or type(value) is float or (type(value) is int and -_BIG < value < _BIG):
        return float(value)
    return None if value is None else coded(BY_CODE[code], value)


def _implausible(code: int, value: float) -> tuple[str, str]:
    """Reason and detail for the quarantine."""
    quantity = BY_CODE[code]
    detail = f"{value:g} {quantity.unit} is outside {quantity.low:g} … {quantity.high:g}"
    return f"implausible {quantity.name}", detail


def _is_known(alarm: str) -> bool:
    return alarm in ALARM_QUANTITY or alarm in QUANTITIES


def _storable(text: str, most: int) -> str:
    """`text` as every database takes it: cut, without NUL and lone surrogates."""
    return text[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
