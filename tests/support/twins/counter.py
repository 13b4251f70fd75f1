"""Slow twins of kind `counter`: of its three forms."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Context
from tests.support.twins import leapt
from tests.support.twins.repeat import meaning
from tests.support.twins.sampling import Recent


def Twin(when: Any, quantity: Quantity | None, context: Context) -> Any:
    assert quantity is not None
    if when.while_ is not None:
        return Session(when, quantity)
    return InWindow(when) if when.window_s is not None else InPeriod(when, context.zone)


class Meter:
    """What is counted from reading to reading."""

    def __init__(self, max_per_h: float | None) -> None:
        self.max_per_h = max_per_h
        self.last: float | None = None
        self.before_fall = 0.0
        self.last_at = 0

    def read(self, value: float, at_ms: int) -> float:
        last, hours = self.last, max(1.0, (at_ms - self.last_at) / 3_600_000)
        self.last, self.last_at = value, at_ms
        if last is None:
            return 0.0
        if value < last:
            self.before_fall = max(self.before_fall, last)
            return 0.0
        step = value - last
        if last < self.before_fall <= value:
            step = value - self.before_fall
            self.before_fall = 0.0
        return 0.0 if self.max_per_h is not None and step > self.max_per_h * hours else step


class InWindow:
    def __init__(self, when: Any) -> None:
        self.more_than = when.more_than * (1 + 1e-9)  # decimals are not exact
        self.meter = Meter(when.max_per_h)
        self.recent = Recent(int(when.window_s * 1_000), 2, 0)
        self.total = 0.0

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        self.total += self.meter.read(value, at_ms)
        if not self.recent.add(self.total, at_ms, observed_ms):
            return "unknown"
        return "breach" if self.total - self.recent.samples[0][1] > self.more_than else "clear"

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.recent.leap(leap_ms, now_ms)


class InPeriod:
    def __init__(self, when: Any, zone: str) -> None:
        self.per, self.zone = when.per, ZoneInfo(zone)
        self.more_than = when.more_than * (1 + 1e-9)  # decimals are not exact
        self.meter = Meter(when.max_per_h)
        self.period: object = None
        self.counted = 0.0
        self.whole = False

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        begun, last_at = self.meter.last is not None, self.meter.last_at
        step = self.meter.read(value, at_ms)
        period, start_ms = self._period(at_ms)
        if last_at < start_ms:
            step *= (at_ms - start_ms) / max(at_ms - last_at, 1)
        if period != self.period:
            self.period, self.counted, self.whole = period, 0.0, begun
        self.counted += step
        if self.counted > self.more_than:
            return "breach"
        return "clear" if self.whole else "unknown"

    def _period(self, at_ms: int) -> tuple[object, int]:
        at = datetime.fromtimestamp(at_ms / 1_000, self.zone)
        if self.per == "day":
            midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
            return at.date(), round(midnight.timestamp() * 1_000)
        into = timedelta(minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
        start_ms = at_ms - round(into / timedelta(milliseconds=1))
        return start_ms, start_ms

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        pass  # what was counted was counted


class Session:
    def __init__(self, when: Any, quantity: Quantity) -> None:
        self.when, self.quantity = when, quantity
        self.since = self.paused = 0
        self.seen_off = False

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        what = meaning(self.when.while_, self.quantity, value)
        if what == "unknown":
            return "unknown"
        paused_too_long = bool(self.paused) and at_ms - self.paused > self.when.pause_s * 1_000
        if what == "beyond":
            if not self.since or paused_too_long:
                self.since = at_ms
                self.seen_off |= paused_too_long
            self.paused = 0
        elif what == "back":
            self.seen_off = True
            if self.since and not self.paused:
                self.paused = at_ms
            if paused_too_long or (self.since and self.when.pause_s == 0):
                self.since = self.paused = 0
        if self.paused:
            return "between"
        if self.since and at_ms - self.since > self.when.longer_than_s * 1_000:
            return "breach"
        return "clear" if self.seen_off else "unknown"

    def passing(self, now_ms: int) -> str:
        if self.paused:
            return "clear" if now_ms - self.paused > self.when.pause_s * 1_000 else "unknown"
        too_long = self.since and now_ms - self.since > self.when.longer_than_s * 1_000
        return "breach" if too_long else "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.since = leapt(self.since, leap_ms, now_ms)
        self.paused = leapt(self.paused, leap_ms, now_ms)
