"""What one message says (`Decoded`), one reading as a row, and many readings as columns (`ReadingBatch`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from hub.model.quantities import BY_CODE, CODE, spoken


class Quality(IntFlag):
    """Flags of a reading; 0 is good. What each does to rules and history is in docs/integrators.md."""

    GOOD = 0
    UNKNOWN = 1  # null, bad quality: the value is NaN; never clears an alarm
    IMPLAUSIBLE = 2  # outside the quantity's limits: the value is NaN for the rules, kept in the quarantine row
    LATE = 4  # measured long before it was received: may raise a life-safety alarm, clears nothing
    FUTURE = 8  # device clock ahead or behind for good: the receive time stands in
    DUPLICATE = 16  # seen before: counts as a sign of life only
    RETAINED = 32  # the broker's copy at subscription: state at connect
    HISTORY = 64  # back-filled by the device: storage only
    TEST = 128  # test button or drill marked by the device: logged, never paged
    SUSPECT = 256  # plausible but known as a sensor's error value, e.g. 85 °C
    CLOCK = 512  # the message carried no usable time: the receive time stands in


class Envelope(NamedTuple):
    """One MQTT message as it came in. `received_at_ms` is the pipeline's time. `receipt` acknowledges it (None in replay)."""

    topic: str
    payload: bytes
    received_at_ms: int
    retained: bool = False
    receipt: Any = None


class Reading(NamedTuple):
    """One value of one quantity. `value`: bool (switch), str (state), number, or None = unknown.

    `quantity` is canonical (a key of QUANTITIES) or, with `unit`, a name that the hub does not know and only reports.
    `observed_at_ms` None = no usable device time: receive time stands in.
    """

    quantity: str
    value: float | int | bool | str | None
    observed_at_ms: int | None = None
    quality: int = 0
    unit: str = ""
    sum: float | None = None


class Event(NamedTuple):
    """An edge that the message names, e.g. alarm smoke active. `detail` holds further fields as the device sent them."""

    type: str
    alarm: str = ""
    active: bool | None = None
    test: bool | None = None
    detail: Mapping[str, Any] | None = None


class Reject(msgspec.Struct, frozen=True):
    """A message that could not be understood. `reason` is a short stable English phrase; `detail` names field, line or value."""

    codec: str
    reason: str
    detail: str = ""
    field: str = ""
    device: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRow:
    """Rejected messages of one topic for one reason: how many, when, and the latest one's bytes and journal position."""

    topic: str
    reason: str
    codec: str
    detail: str = ""
    address: str = ""
    count: int = 1
    first_at_ms: int
    last_at_ms: int
    position: int
    payload: bytes = b""


class Decoded(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says about one device. Pure data; values are canonical (see `model.quantities`).

    `address` finds the device in the registry: "<codec>:<identity within the codec>", e.g.
    "native-v1:site-b3/gw-b3-01/smoke-12" or "zigbee2mqtt:zigbee2mqtt/Smoke". `device` is the id as the dialect says it.
    """

    codec: str
    address: str
    device: str
    readings: tuple[Reading, ...] = ()
    history: tuple[Reading, ...] = ()  # back-filled points, oldest first
    events: tuple[Event, ...] = ()
    unknown: tuple[str, ...] = ()  # quantities that are now unknown ("*" = all)
    availability: bool | None = None  # True online, False offline
    cascade: bool = False  # children behind this node are offline too
    dedupe_key: str = ""
    seq: int | None = None
    expected_interval_s: float | None = None
    gateway: str = ""
    site: str = ""
    device_uid: str = ""
    info: Mapping[str, Any] | None = None
    ts_local: str = ""  # wall clock without zone, when only that was given
    observed_at_ms: int | None = None  # time of the message as a whole, when it has one
    retained_state: bool = False  # the dialect keeps this topic as current state on the broker
    ignored: str = ""  # known and not a reading: why
    warnings: tuple[str, ...] = ()


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingBatch:
    """Readings as columns of equal length n, in the order of arrival.

    slot i4 (device), quantity i2 (code), value f8 (NaN = unknown), observed_at_ms i8, received_at_ms i8, quality u2 (Quality),
    position i8 (of the journal record that carried it), grid i4, building i4 (-1 = none; filled by `enrich`).
    """

    slot: NDArray[np.int32]
    quantity: NDArray[np.int16]
    value: Floats
    observed_at_ms: Ints
    received_at_ms: Ints
    quality: NDArray[np.uint16]
    position: Ints
    grid: NDArray[np.int32]
    building: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.slot.shape[0])

    def take(self, index: Any) -> ReadingBatch:
        """The rows chosen by `index` (mask, slice or integer array)."""
        return ReadingBatch(
            slot=self.slot[index],
            quantity=self.quantity[index],
            value=self.value[index],
            observed_at_ms=self.observed_at_ms[index],
            received_at_ms=self.received_at_ms[index],
            quality=self.quality[index],
            position=self.position[index],
            grid=self.grid[index],
            building=self.building[index],
        )

    def spoken(self, row: int) -> float | bool | str | None:
        return spoken(BY_CODE[int(self.quantity[row])], float(self.value[row]))

    @staticmethod
    def empty() -> ReadingBatch:
        return ReadingBatch.of([])

    @staticmethod
    def of(rows: list[tuple[int, str, float, int, int, int, int]]) -> ReadingBatch:
        """From rows (slot, quantity name, value, observed_at_ms, received_at_ms, quality, position); for edges and tests."""
        n = len(rows)
        return ReadingBatch(
            slot=np.fromiter((r[0] for r in rows), np.int32, n),
            quantity=np.fromiter((CODE[r[1]] for r in rows), np.int16, n),
            value=np.fromiter((r[2] for r in rows), np.float64, n),
            observed_at_ms=np.fromiter((r[3] for r in rows), np.int64, n),
            received_at_ms=np.fromiter((r[4] for r in rows), np.int64, n),
            quality=np.fromiter((r[5] for r in rows), np.uint16, n),
            position=np.fromiter((r[6] for r in rows), np.int64, n),
            grid=np.full(n, -1, np.int32),
            building=np.full(n, -1, np.int32),
        )
