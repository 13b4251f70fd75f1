"""Slow twin of hub/rules/kinds/sampling.py: the clock of one device, and its recent samples."""

from __future__ import annotations

import math

from tests.support.twins import leapt


class Clock:
    """When a reading was measured, on the hub's scale."""

    def __init__(self, over_ms: int) -> None:
        self.over = over_ms
        self.band = max(1_000, min(30_000, over_ms // 8))
        self.patience = max(2_000, min(600_000, over_ms // 4))
        self.newest = 0
        self.unmoved: int | None = None  # what `newest` was before the hub's time leapt
        self.lag = 0
        self.top = 0  # the greatest lag in the window, while receipt counts
        self.proved = 0  # readings in a row with a steady lag, up to 8
        self.strange: list[int] = []  # times of receipt of the readings in a row that are out of step
        self.backlogs = 0

    def leap(self, leap_ms: int, now_ms: int) -> None:
        moved = leapt(self.newest, leap_ms, now_ms)
        self.unmoved = self.newest if self.unmoved is None else self.unmoved
        self.newest = moved
        self.strange = [leapt(at, leap_ms, now_ms) for at in self.strange]

    def place(self, at: int, observed: int) -> tuple[int, bool, bool]:
        """(when it was measured, whether that is sure, whether the past no longer goes with it)"""
        leapt = self.unmoved is not None and self.unmoved != self.newest
        time, sure, anew = self._placed(at, observed, leapt)
        if sure:
            self.unmoved = None
        return time, sure, anew or leapt

    def _placed(self, at: int, observed: int, leapt: bool) -> tuple[int, bool, bool]:
        lag = at - observed
        if not self.newest:
            self.lag, self.top, self.proved, self.newest = lag, lag, 1, at
            return at, True, False
        off = lag - self.lag
        trusted = self.proved == 8
        if trusted and abs(off) > self.band:
            self.strange.append(at)
            if len(self.strange) < 3 or at - self.strange[0] < self.patience:
                own = observed + self.lag
                return (own if self.newest <= own <= at else at), False, False
            self.strange = []
            self.lag, self.top, self.proved = lag, lag, 1
            return self._by_receipt(at)
        self.strange = []
        self.top = max(self.top, lag)
        anew = not trusted and lag < self.top - max(2_000, self.over // 2) and self.backlogs < 32
        if anew:
            self.top = lag
            self.backlogs += 1
        if abs(off) > self.band:
            self.lag, self.proved = lag, 1
        else:
            self.lag += math.floor(off / 16)
            self.proved = min(self.proved + 1, 8)
        if self.proved < 8:
            return self._by_receipt(at, anew=anew)
        self.backlogs = 0
        own = observed + self.lag
        sure = own >= self.newest or leapt
        if sure:
            self.newest = own
        return own, sure, anew

    def _by_receipt(self, at: int, *, anew: bool = False) -> tuple[int, bool, bool]:
        self.newest = max(at, self.newest)
        return self.newest, True, anew


class Recent:
    """Samples of the last `over_ms` as (time, value), oldest first; readings that come close together share one."""

    def __init__(self, over_ms: int, min_samples: int, min_span_ms: int) -> None:
        self.over, self.min_samples, self.min_span = over_ms, min_samples, min_span_ms
        self.spacing = math.ceil(over_ms / 11)
        self.clock = Clock(over_ms)
        self.samples: list[tuple[int, float]] = []
        self.opened = 0  # time of the first reading of the newest sample

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.clock.leap(leap_ms, now_ms)

    def add(self, value: float, at: int, observed: int) -> bool:
        """Whether the reading is in the window and the window says something."""
        if math.isnan(value):
            return False
        time, sure, anew = self.clock.place(at, observed)
        if not sure:
            return False
        if anew:
            self.samples = []
        if self.samples and time - self.opened < self.spacing:
            self.samples[-1] = (time, value)
        else:
            self.samples.append((time, value))
            self.opened = time
        self.samples = [s for s in self.samples if time - s[0] <= self.over]
        assert len(self.samples) <= 12, "the spacing leaves room for the whole window"
        return len(self.samples) >= self.min_samples and time - self.samples[0][0] >= self.min_span

    def pairs(self) -> list[tuple[int, float, int, float]]:
        """(earlier time, its value, later time, its value) of all pairs."""
        found = []
        for n, (t0, v0) in enumerate(self.samples):
            found += [(t0, v0, t1, v1) for t1, v1 in self.samples[n + 1 :]]
        return found
