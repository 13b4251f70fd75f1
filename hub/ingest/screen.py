"""Judges readings before the rules see them: implausible, late, from the future, seen before, retained.

Vectorised on the normal path; only odd rows are looked at one by one. Its memory (what was seen, skewed clocks) is part of
the pipeline's snapshot, so that a replay judges alike.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from hub.model.quantities import BY_CODE, CODE
from hub.model.readings import Decoded, Floats, Ints, Quality

_LOW = np.array([q.low for q in BY_CODE])
_HIGH = np.array([q.high for q in BY_CODE])
_ALARM = np.array([bool(q.alarm) for q in BY_CODE])
_NOT_SAID_NOW = int(Quality.DUPLICATE | Quality.HISTORY | Quality.IMPLAUSIBLE | Quality.TEST)
_GENERATION_MS = 600_000
_STEADY_MS = 30_000
"""A device whose lag changes by less than this from message to message has a wrong clock; one that empties a buffer does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What device time is trusted: not older than `past_ms`, not ahead more than `future_ms`; beyond `late_ms` it counts as late."""

    past_ms: int = 7 * 86_400_000
    future_ms: int = 300_000
    late_ms: int = 300_000


class Screen:
    """Memory of the screen. One owner thread."""

    def __init__(self, limits: Limits, *, remembered: int = 50_000) -> None:
        self.limits = limits
        self._remembered = remembered
        self._seen: dict[int, int] = {}  # mark of a message → journal position of its first coming
        self._seen_before: dict[int, int] = {}
        self._until_ms = 0  # of the generation; 0: it has not begun
        self._last = array("q")  # by slot: mark of the latest message
        self._newest_ms = array("q")  # by slot: latest time that the device gave
        self._addresses: list[str] = []  # by slot: address of the latest message
        self._sums = array("q")  # by slot: CRC of that address
        self._alarmed: dict[tuple[int, int], int] = {}  # slot and code of an alarm that lasts → when it was measured
        self.skew_ms: dict[int, int] = {}  # slot → lag of its clock, for devices whose clock is off

    def is_repeated(self, slot: int, one: Decoded, payload: bytes, position: int, at_ms: int) -> bool:
        """Whether this very message came before: same device, same id or time, same bytes, within the last 10 to 20 minutes.

        An alarm taken for a repetition is an alarm lost, so the doubt goes the other way: a message without id and time may say
        the same again (a sequence number alone starts anew with each boot), an id that comes back with other bytes or another
        time is another message, and a device whose time has coarse steps may come back to an earlier value in one of them.
        """
        return self.came_before(
            slot, one.address, one.dedupe_key, one.observed_at_ms, one.seq, payload, position, at_ms
        )

    def came_before(
        self,
        slot: int,
        address: str,
        key: str,
        observed: int | None,
        seq: int | None,
        payload: bytes,
        position: int,
        at_ms: int,
    ) -> bool:
        """As `is_repeated`, of the parts that make a message the same."""
        if observed is None and not key:
            return False
        if slot >= len(self._last):
            self._grow(slot)
        if self._addresses[slot] is not address:
            self._addresses[slot], self._sums[slot] = address, crc32(address.encode())
        # of integers only, so that it is the same in every process
        mark = hash((self._sums[slot], crc32(key.encode()) if key else 0, observed or 0, seq or 0, crc32(payload)))
        seen, last, newest_ms = self._seen, self._last[slot], self._newest_ms[slot]
        self._last[slot] = mark
        if observed is not None and observed > newest_ms:
            self._newest_ms[slot] = observed
        if mark in seen or mark in self._seen_before:
            anew = not key and observed is not None and observed >= newest_ms > 0 and last != mark
            return not anew
        seen[mark] = position
        if at_ms > self._until_ms or len(seen) >= self._remembered:
            self._turn_over(at_ms)
        return False

    def _turn_over(self, at_ms: int) -> None:
        """Begins a generation when the present one is full or old."""
        if self._until_ms:
            self._seen_before, self._seen = self._seen, {}
        self._until_ms = at_ms + _GENERATION_MS

    def _grow(self, slot: int) -> None:
        more = slot + 256 - len(self._last)
        for column in (self._last, self._newest_ms, self._sums):
            column.frombytes(bytes(8 * more))
        self._addresses += [""] * more

    def retained_is_old(
        self, observed_at_ms: int | None, received_at_ms: int, interval_ms: int, is_state: bool
    ) -> bool:
        """Whether a retained message may only be shown as "state at connect".

        Old: older than the device's expected interval. Without a time it is believed only where the dialect keeps the topic as
        current state by contract; brokers keep ghosts of other dialects for years.
        """
        if observed_at_ms is None:
            return not is_state
        return received_at_ms - observed_at_ms > max(interval_ms, self.limits.late_ms)

    def judge_time(self, slot: np.ndarray, observed: Ints, received: Ints, quality: np.ndarray) -> None:
        """Flags LATE, FUTURE and CLOCK in `quality`, and puts the receive time where device time cannot be trusted. In place."""
        if not len(slot):
            return
        lag = received - observed
        if lag.max() <= self.limits.late_ms and lag.min() >= -self.limits.future_ms:
            if self.skew_ms:
                self._forget(slot)
            return
        odd = (lag > self.limits.late_ms) | (lag < -self.limits.future_ms)
        for row in np.flatnonzero(odd).tolist():
            if quality[row] & Quality.HISTORY:
                continue  # a back-filled point keeps its own time
            lag_ms, device = int(lag[row]), int(slot[row])
            if lag_ms < 0:
                quality[row] |= Quality.FUTURE
                observed[row] = received[row]
                continue
            known = self.skew_ms.get(device)
            self.skew_ms[device] = lag_ms
            if lag_ms > self.limits.past_ms or (known is not None and abs(lag_ms - known) < _STEADY_MS):
                quality[row] |= Quality.CLOCK
                observed[row] = received[row]
            else:
                quality[row] |= Quality.LATE

    def _forget(self, slot: np.ndarray) -> None:
        for device in self.skew_ms.keys() & set(slot.tolist()):
            del self.skew_ms[device]

    def judge_values(self, quantity: np.ndarray, value: Floats, quality: np.ndarray) -> list[int]:
        """Turns values outside their quantity's limits into unknown (NaN, IMPLAUSIBLE). Returns their rows, for the quarantine."""
        bad = (value < _LOW[quantity]) | (value > _HIGH[quantity])
        if not bad.any():
            return []
        quality[bad] |= np.uint16(Quality.IMPLAUSIBLE)
        value[bad] = np.nan
        return [int(row) for row in np.flatnonzero(bad)]

    def judge_order(
        self, slot: np.ndarray, quantity: np.ndarray, value: Floats, observed: Ints, received: Ints, quality: np.ndarray
    ) -> None:
        """Flags LATE, in `quality`, an all-clear that was measured before the alarm that it follows: messages overtake each other,
        and what was so before the alarm does not end it. Only where the device gave both times. Call it after the others."""
        rows = np.flatnonzero(_ALARM[quantity])
        if not len(rows) or not (self._alarmed or (value[rows] == 1.0).any()):
            return
        for row in rows.tolist():
            if int(quality[row]) & _NOT_SAID_NOW:
                continue
            key = (int(slot[row]), int(quantity[row]))
            if value[row] == 1.0:
                if observed[row] != received[row]:
                    since = min(int(observed[row]), int(received[row]))
                    self._alarmed[key] = max(since, self._alarmed.get(key, since))
            elif value[row] == 0.0 and key in self._alarmed:
                if observed[row] < self._alarmed[key]:
                    quality[row] |= np.uint16(Quality.LATE)
                else:
                    del self._alarmed[key]

    def dump(self, position: int, ids: Sequence[str]) -> dict[str, object]:
        """What must survive a restart that goes on at `position`: nothing of what will be read again from there.

        `ids`: device ids by slot; slots are given out anew at each start.
        """
        return {
            "seen": [mark for mark, at in self._seen.items() if at < position],
            "before": [mark for mark, at in self._seen_before.items() if at < position],
            "skew": {ids[slot]: lag for slot, lag in self.skew_ms.items() if ids[slot]},
            "alarmed": [(ids[slot], BY_CODE[code].name, at) for (slot, code), at in self._alarmed.items() if ids[slot]],
        }

    def restore(self, dumped: Mapping[str, Any], slot_of: Mapping[str, int]) -> None:
        """Takes back what `dump` gave."""
        self._seen = dict.fromkeys(map(int, dumped["seen"]), -1)
        self._seen_before = dict.fromkeys(map(int, dumped["before"]), -1)
        self.skew_ms = {slot_of[device]: int(lag) for device, lag in dumped["skew"].items() if device in slot_of}
        self._alarmed = {
            (slot_of[device], CODE[name]): int(at)
            for device, name, at in dumped.get("alarmed", ())
            if device in slot_of and name in CODE
        }
