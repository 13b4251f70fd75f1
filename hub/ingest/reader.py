"""From journal records to columns: decode, find the device, screen, and cut at ticks. Per-reading Python ends here."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hub.ingest.screen import Screen
from hub.model.quantities import BY_CODE, CODE, coded
from hub.model.readings import Decoded, Quality, QuarantineRow, Reading, ReadingBatch, Reject
from hub.registry.snapshot import Registry
from hub.stores.journal import TICK, Record
from hub.telemetry import REJECTED

HUB_TOPIC = "$hub/"
"""Topics under which the hub tells of itself; no device can publish there through a broker session of ours."""
_NAN = float("nan")
_BIG = 1 << 62
_ONLINE = CODE["online"]
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
        self.counts = {"messages": 0, "unmapped": 0, "duplicates": 0, "ignored": 0}
        self._clear()

    def _clear(self) -> None:
        self._slot, self._received, self._position, self._rows = array("i"), array("q"), array("q"), array("i")
        self._code, self._value = array("h"), array("d")
        self._observed, self._quality = array("q"), array("H")
        self._quarantine: dict[tuple[str, str], _Aside] = {}

    def read(self, records: Sequence[Record]) -> list[Segment]:
        """Segments of `records`, in order. Never raises for what a device sent."""
        segments: list[Segment] = []
        if not records:
            return segments
        registry = self.registry()
        first = records[0].position
        last = records[0]
        for record in records:
            last = record
            if record.kind == TICK:
                segments.append(self._segment(registry, first, record, tick=True))
                first = record.position + 1
            else:
                self._take(registry, record)
        if first <= last.position:
            segments.append(self._segment(registry, first, last, tick=False))
        return segments

    def _take(self, registry: Registry, record: Record) -> None:
        self.counts["messages"] += 1
        topic, payload = record.topic, record.payload
        if topic.startswith(HUB_TOPIC):
            self._own(registry, record)
            return
        said = self.decode(topic, payload, received_at_ms=record.at_ms, retained=record.retained)
        if isinstance(said, Reject):
            self._set_aside(record, said.reason, said.codec, said.detail, said.address)
            return
        for one in said:
            if one.ignored:
                self.counts["ignored"] += 1
                continue
            slot = registry.slot_of_address.get(one.address)
            if slot is None:
                self._set_aside(
                    record, "unknown device", one.codec, "claim it or remove it from the broker", one.address
                )
                continue
            self._said(registry, slot, one, record)

    def _said(self, registry: Registry, slot: int, one: Decoded, record: Record) -> None:
        received = record.at_ms
        flags = 0
        if record.retained:
            flags = int(Quality.RETAINED)
            interval = int(registry.expected_interval_ms[slot])
            if self.screen.retained_is_old(one.observed_at_ms, received, interval, one.retained_state):
                flags |= int(Quality.HISTORY)
        elif self.screen.is_repeated(slot, one.dedupe_key, one.observed_at_ms, one.seq, record.payload):
            flags = int(Quality.DUPLICATE)
            self.counts["duplicates"] += 1
        start = len(self._code)
        if one.readings:
            self._readings(one.readings, one, record, flags, one.observed_at_ms)
        if one.history:
            self._readings(one.history, one, record, flags | int(Quality.HISTORY), one.observed_at_ms)
        for name in one.unknown:
            if name in CODE:
                self._row(CODE[name], _NAN, received, flags | int(Quality.UNKNOWN))
        if one.availability is not None:
            self._row(_ONLINE, 1.0 if one.availability else 0.0, received, flags & ~int(Quality.HISTORY))
        rows = len(self._code) - start
        if rows:
            self._slot.append(slot)
            self._received.append(received)
            self._position.append(record.position)
            self._rows.append(rows)

    def _readings(
        self, readings: tuple[Reading, ...], one: Decoded, record: Record, flags: int, observed_at_ms: int | None
    ) -> None:
        received = record.at_ms
        codes, values, times, qualities = self._code, self._value, self._observed, self._quality
        for name, value, at_ms, quality, _unit, _sum in readings:
            code = CODE.get(name)
            if code is None:
                self.counts["unmapped"] += 1
                continue
            kind = type(value)
            if kind is float or kind is bool or (kind is int and -_BIG < value < _BIG):  # type: ignore[operator]
                number = value
            elif value is None:
                number, quality = _NAN, quality | 1
            else:
                worded = coded(BY_CODE[code], value)
                if worded is None:
                    self._set_aside(record, f"unknown word for {name}", one.codec, repr(value)[:100], one.address)
                    number, quality = _NAN, quality | 1
                else:
                    number = worded
            codes.append(code)
            values.append(number)  # type: ignore[arg-type]  # bool, int or float by now
            times.append(at_ms if at_ms is not None else observed_at_ms if observed_at_ms is not None else received)
            qualities.append(quality | flags)

    def _row(self, code: int, value: float, at_ms: int, quality: int) -> None:
        self._code.append(code)
        self._value.append(value)
        self._observed.append(at_ms)
        self._quality.append(quality)

    def _own(self, registry: Registry, record: Record) -> None:
        """What the hub says of itself: topic $hub/<quantity>, payload 1 or 0."""
        slot, code = registry.slot_of.get("hub"), CODE.get(record.topic.removeprefix(HUB_TOPIC))
        if slot is None or code is None:
            return
        self._row(code, float(record.payload), record.at_ms, 0)
        self._slot.append(slot)
        self._received.append(record.at_ms)
        self._position.append(record.position)
        self._rows.append(1)

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
        n = np.frombuffer(self._rows, np.int32) if self._rows else np.empty(0, np.int32)
        slot = np.repeat(np.frombuffer(self._slot, np.int32), n) if len(n) else np.empty(0, np.int32)
        received = np.repeat(np.frombuffer(self._received, np.int64), n) if len(n) else np.empty(0, np.int64)
        position = np.repeat(np.frombuffer(self._position, np.int64), n) if len(n) else np.empty(0, np.int64)
        quantity = np.array(self._code, np.int16)
        value = np.array(self._value, np.float64)
        observed = np.array(self._observed, np.int64)
        quality = np.array(self._quality, np.uint16)
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
        quantity, device = BY_CODE[code], registry.device(slot)
        record = Record(
            position=int(position[row]),
            kind=0,
            at_ms=int(received[row]),
            topic=device.addresses[0],
            payload=b"",
            retained=False,
        )
        detail = f"{value:g} {quantity.unit} is outside {quantity.low:g} … {quantity.high:g}"
        self._set_aside(record, f"implausible {quantity.name}", "screen", detail, device.addresses[0])


def _storable(text: str, most: int) -> str:
    """`text` as every database takes it: cut, without NUL and lone surrogates."""
    return text[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
