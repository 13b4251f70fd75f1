"""Judges readings before the rules see them: implausible, late, from the future, seen before, retained.

Vectorised on the normal path; only odd rows are looked at one by one. Its memory (what was seen, skewed clocks) is part of
the pipeline's snapshot, so that a replay judges alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from hub.model.quantities import BY_CODE
from hub.model.readings import Floats, Ints, Quality

_LOW = np.array([q.low for q in BY_CODE])
_HIGH = np.array([q.high for q in BY_CODE])
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
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()
        self.skew_ms: dict[int, int] = {}  # slot → lag of its clock, for devices whose clock is off

    def is_repeated(self, slot: int, key: str, observed_at_ms: int | None, seq: int | None, payload: bytes) -> bool:
        """Whether this very message came before: by its own id, else by time or sequence number with equal bytes.

        A message without any of them can be a plain heartbeat that says the same again; it is never taken for a repetition.
        """
        if key:
            mark = hash((slot, crc32(key.encode()), crc32(key[::-1].encode()), len(key)))
        elif observed_at_ms is not None or seq is not None:
            mark = hash(
                (slot, observed_at_ms or 0, seq or 0, crc32(payload))
            )  # of integers only: the same in every process
        else:
            return False
        if mark in self._seen or mark in self._seen_before:
            return True
        self._seen.add(mark)
        if len(self._seen) >= self._remembered:
            self._seen_before, self._seen = self._seen, set()
        return False

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
        lag = received - observed
        odd = (lag > self.limits.late_ms) | (lag < -self.limits.future_ms)
        if not odd.any():
            if self.skew_ms:
                self._forget(slot)
            return
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

    def dump(self) -> dict[str, object]:
        """What must survive a restart."""
        return {"seen": sorted(self._seen), "before": sorted(self._seen_before), "skew": dict(self.skew_ms)}

    def restore(self, seen: set[int], before: set[int], skew_ms: dict[int, int]) -> None:
        self._seen, self._seen_before, self.skew_ms = seen, before, skew_ms
