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
from tests.support.twins.sampling import Clock


def Twin(when: Any, quantity: Quantity | None, context: Context) -> Any:
    assert quantity is not None
    if when.while_ is not None:
        return Session(when, quantity)
    return InWindow(when) if when.window_s is not None else InPeriod(when, context.zone)


class Meter:
    """What is counted from reading to reading, and from when to when."""

    def __init__(self, max_per_h: float | None, over_ms: int) -> None:
        self.max_per_h, self.clock = max_per_h, Clock(over_ms)
        self.last: float | None = None
        self.before_fall = 0.0
        self.last_at = 0

    def read(self, value: float, at_ms: int, observed_ms: int) -> tuple[float, int, int]:
        to_ms, _, _ = self.clock.place(at_ms, observed_ms)
        last, from_ms = self.last, self.last_at
        self.last, self.last_at = value, to_ms
        if last is None:
            return 0.0, to_ms, to_ms
        if value < last:
            self.before_fall = max(self.before_fall, last)
            return 0.0, from_ms, to_ms
        step = value - last
        if last < self.before_fall <= value:
            step = value - self.before_fall
            self.before_fall = 0.0
        hours = max(1.0, (to_ms - from_ms) / 3_600_000)
        if self.max_per_h is not None and step > self.max_per_h * hours:
            step = 0.0
        return step, from_ms, to_ms


class InWindow:
    def __init__(self, when: Any) -> None:
        self.more_than = when.more_than * (1 + 1e-9)  # decimals are not exact
        self.window = int(when.window_s * 1_000)
        self.meter = Meter(when.max_per_h, self.window)
        self.part_ms = math.ceil(self.window / 12)
        self.newest = self.since = 0
        self.parts: dict[int, float] = {}

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        first = self.meter.last is None
        step, begin, end = self.meter.read(value, at_ms, observed_ms)
        number = end // self.part_ms
        if first or number < self.newest - 12:
            self.parts, self.newest, self.since = {}, number, end
        self.newest = max(self.newest, number)
        for part in range(self.newest - 12, self.newest + 1):
            inside = min(end, (part + 1) * self.part_ms) - max(begin, part * self.part_ms)
            share = max(0, inside) / (end - begin) if end > begin else float(part == self.newest)
            self.parts[part] = self.parts.get(part, 0.0) + share * step
        gone = min(1.0, max(0.0, end / self.part_ms - self.newest))  # how much of the oldest part is out of the window
        counted = sum(self.parts.get(self.newest - n, 0.0) for n in range(12))
        if counted + (1 - gone) * self.parts.get(self.newest - 12, 0.0) > self.more_than:
            return "breach"
        return "clear" if end - self.since >= self.window else "unknown"

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.meter.clock.leap(leap_ms, now_ms)


class InPeriod:
    def __init__(self, when: Any, zone: str) -> None:
        self.per, self.zone = when.per, ZoneInfo(zone)
        self.more_than = when.more_than * (1 + 1e-9)  # decimals are not exact
        self.meter = Meter(when.max_per_h, 3_600_000 if when.per == "hour" else 86_400_000)
        self.period: object = None
        self.counted = 0.0
        self.whole = False

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        first = self.meter.last is None
        step, begin, end = self.meter.read(value, at_ms, observed_ms)
        period, start_ms = self._period(end)
        if begin < start_ms <= end:
            step *= (end - start_ms) / (end - begin)
        if period != self.period:
            self.period, self.counted, self.whole = period, 0.0, not first
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
        self.meter.clock.leap(leap_ms, now_ms)  # what was counted was counted


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
