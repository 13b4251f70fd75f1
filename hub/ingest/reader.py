"""From journal records to columns: decode, find the device, screen, and cut at ticks. Per-reading Python ends here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hub.ingest.screen import Screen
from hub.model.quantities import ALARM_QUANTITY, BY_CODE, CODE, QUANTITIES, coded
from hub.model.readings import Decoded, Quality, QuarantineRow, Reading, ReadingBatch, Reject
from hub.registry.snapshot import Registry
from hub.stores.journal import TICK, Record
from hub.telemetry import REJECTED, log

HUB_TOPIC = "$hub/"
"""Topics under which the hub tells of itself; no device can publish there through a broker session of ours."""
_BIG = 1 << 62
_RETAINED, _HISTORY, _DUPLICATE = int(Quality.RETAINED), int(Quality.HISTORY), int(Quality.DUPLICATE)
_UNKNOWN = int(Quality.UNKNOWN)
_PLAIN = frozenset((float, bool))
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
    """Turns records into segments. Keeps the screen's memory; one owner thread."""

    def __init__(self, decode: Decode, registry: Callable[[], Registry], screen: Screen) -> None:
        self.decode, self.registry, self.screen = decode, registry, screen
        self.messages = 0
        self.unmapped = 0
        self._clear()

    def _clear(self) -> None:
        # one per stretch of readings that share them: slot, receive time, position, number, flags, time if none is given
        self._heads: list[tuple[int, int, int, int, int, int]] = []
        self._flat: list[Reading] = []
        self._quarantine: dict[tuple[str, str], _Aside] = {}

    def read(self, records: Sequence[Record]) -> list[Segment]:
        """Segments of `records`, in order. Never raises for what a device sent."""
        segments: list[Segment] = []
        if not records:
            return segments
        registry = self.registry()
        slot_of, decode = registry.slot_of_address, self.decode
        first = records[0].position
        last = records[-1]
        for record in records:  # the hot loop: every message passes here once
            _, kind, at_ms, topic, payload, retained = record
            if kind == TICK:
                segments.append(self._segment(registry, first, record, tick=True))
                first = record.position + 1
                continue
            self.messages += 1
            if topic.startswith(HUB_TOPIC):
                self._own(registry, record)
                continue
            try:
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
            self._stretch(slot, record, flags, observed, one.readings)
        if one.history:
            self._stretch(slot, record, flags | _HISTORY, observed, one.history)
        if one.unknown:
            unknown = tuple(Reading(name, None, None, _UNKNOWN) for name in one.unknown if name != "*")
            self._stretch(slot, record, flags, None, unknown)
        if one.availability is not None:
            self._stretch(slot, record, flags & ~_HISTORY, None, (Reading("online", one.availability, None),))
        for event in one.events:
            if event.type == "alarm_unclear":  # neither on nor off: unknown to the rules, but never silence
                what = event.detail or {}
                detail = f"{what.get('key', event.alarm)}: {what.get('value', 'this')} is no known value"
                self._set_aside(record, f"unclear alarm value: {event.alarm}", one.codec, detail, one.address)
            elif (event.alarm or event.type == "alarm") and event.active is not False and not _is_known(event.alarm):
                detail = f"no rule can judge an alarm called {event.alarm!r}"  # so a person must see it
                self._set_aside(record, "unknown alarm", one.codec, detail, one.address)

    def _stretch(
        self, slot: int, record: Record, flags: int, observed_at_ms: int | None, readings: tuple[Reading, ...]
    ) -> None:
        """Takes `readings` that share device, record, flags and, where they say none themselves, time."""
        position, _, at_ms, _, _, _ = record
        self._heads.append(
            (slot, at_ms, position, len(readings), flags, at_ms if observed_at_ms is None else observed_at_ms)
        )
        self._flat += readings

    def _own(self, registry: Registry, record: Record) -> None:
        """What the hub says of itself (topic $hub/<quantity>) or knows of a device ($hub/<device>/<quantity>): a number."""
        device, _, name = record.topic.removeprefix(HUB_TOPIC).rpartition("/")
        slot, code = registry.slot_of.get(device or "hub"), CODE.get(name)
        if slot is None or code is None:
            return
        self._stretch(slot, record, 0, None, (Reading(BY_CODE[code].name, float(record.payload)),))

    def _set_aside(self, record: Record, reason: str, codec: str, detail: str, address: str) -> None:
        REJECTED.labels(codec=codec, reason=reason.split(":")[0][:60]).inc()
        topic = record.topic
        key = (topic, reason)
        if key not in self._quarantine and len(self._quarantine) >= _MOST_KINDS:
            key = ("(many topics)", reason)
        entry = self._quarantine.get(key)
        if entry is None:
            self._quarantine[key] = _Aside(codec, detail, address, 1, record.at_ms, record)
        else:
            entry.detail, entry.address, entry.last = detail, address, record
            entry.count += 1

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
        if not self._flat:
            return ReadingBatch.empty()
        slots, times_in, positions, count, flags, given = np.array(self._heads, np.int64).T
        names, values, times, qualities, _, _ = zip(*self._flat, strict=True)
        slot = np.repeat(slots.astype(np.int32), count)
        received = np.repeat(times_in, count)
        position = np.repeat(positions, count)
        quality = np.array(qualities, np.uint16) | np.repeat(flags.astype(np.uint16), count)
        if None in times:
            own = zip(times, np.repeat(given, count).tolist(), strict=True)
            observed = np.array([said if said is not None else stretch for said, stretch in own], np.int64)
        else:
            observed = np.array(times, np.int64)
        codes = list(map(CODE.get, names))
        value = self._numbers(registry, names, codes, values, quality, slot, received, position)
        if None in codes:
            mapped = np.array([code is not None for code in codes])
            self.unmapped += int((~mapped).sum())
            slot, received, position = slot[mapped], received[mapped], position[mapped]
            quality, observed, value = quality[mapped], observed[mapped], value[mapped]
            codes = [code for code in codes if code is not None]
        quantity = np.array(codes, np.int16)
        if len(slot):
            self.screen.judge_time(slot, observed, received, quality)
            given = value.copy()
            for row in self.screen.judge_values(quantity, value, quality):
                self._implausible(
                    registry, int(slot[row]), int(quantity[row]), float(given[row]), received, position, row
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

    def _numbers(
        self,
        registry: Registry,
        names: Sequence[str],
        codes: Sequence[int | None],
        values: Sequence[object],
        quality: np.ndarray,
        slot: np.ndarray,
        received: np.ndarray,
        position: np.ndarray,
    ) -> np.ndarray:
        """Values as they travel in a batch. What is no number becomes NaN and is flagged unknown in `quality`."""
        if _PLAIN.issuperset(map(type, values)):
            return np.array(values, np.float64)
        numbers = np.full(len(values), np.nan)
        for row, (given, code) in enumerate(zip(values, codes, strict=True)):
            if type(given) in _PLAIN or (type(given) is int and -_BIG < given < _BIG):
                numbers[row] = given
                continue
            word = None if given is None or code is None else coded(BY_CODE[code], given)
            if word is not None:
                numbers[row] = word
                continue
            quality[row] |= np.uint16(Quality.UNKNOWN)
            if given is not None and code is not None:
                where = (int(slot[row]), int(position[row]), int(received[row]))
                self._odd_value(registry, *where, f"unknown value of {names[row]}", repr(given)[:100])
        return numbers

    def _implausible(
        self,
        registry: Registry,
        slot: int,
        code: int,
        value: float,
        received: np.ndarray,
        position: np.ndarray,
        row: int,
    ) -> None:
        quantity = BY_CODE[code]
        detail = f"{value:g} {quantity.unit} is outside {quantity.low:g} … {quantity.high:g}"
        self._odd_value(registry, slot, int(position[row]), int(received[row]), f"implausible {quantity.name}", detail)

    def _odd_value(self, registry: Registry, slot: int, position: int, at_ms: int, reason: str, detail: str) -> None:
        address = registry.device(slot).addresses[0] if registry.device(slot).addresses else registry.ids[slot]
        record = Record(position=position, kind=0, at_ms=at_ms, topic=address, payload=b"", retained=False)
        self._set_aside(record, reason, "screen", detail, address)


def _is_known(alarm: str) -> bool:
    return alarm in ALARM_QUANTITY or alarm in QUANTITIES


def _storable(text: str, most: int) -> str:
    """`text` as every database takes it: cut, without NUL and lone surrogates."""
    return text[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
