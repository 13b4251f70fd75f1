"""A reading that is not as usual for its device, one device and one reading at a time."""

from __future__ import annotations

import math
import statistics
from collections import deque
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Context
from tests.support.twins import leapt

LIMITS = {
    "ewma": {"low": 8.0, "medium": 6.0, "high": 4.0},
    "robust": {"low": 12.0, "medium": 9.0, "high": 6.0},
    "seasonal": {"low": 10.0, "medium": 7.0, "high": 5.0},
    "cusum": {"low": 8.0, "medium": 5.0, "high": 3.0},
    "score": {"low": 0.4, "medium": 0.25, "high": 0.15},
}
WARM_UP_H = {"ewma": 24, "robust": 24, "seasonal": 14 * 24, "cusum": 7 * 24, "score": 24}


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        self.limit = LIMITS[when.method][when.sensitivity]
        hours = WARM_UP_H[when.method] if when.warm_up_h is None else when.warm_up_h
        self.warm_up_ms = int(hours * 3_600_000)
        self.first_ms = 0
        self.method: Any = {"ewma": Ewma, "robust": Robust, "seasonal": Seasonal, "cusum": Cusum, "score": Score}[
            when.method
        ](self.limit, when.margin, context)

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        self.first_ms = self.first_ms or at_ms
        figure, lasting = self.method.feed(min(max(value, -1e15), 1e15), at_ms)
        if math.isnan(figure) or at_ms - self.first_ms < self.warm_up_ms:
            return "unknown"
        if figure >= self.limit:
            return "breach"
        return "between" if lasting or figure >= self.limit / 2 else "clear"

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.first_ms = leapt(self.first_ms, leap_ms, now_ms)
        if isinstance(self.method, Cusum):
            self.method.day_ms = leapt(self.method.day_ms, leap_ms, now_ms)


def in_spreads(difference: float, spread: float, limit: float, margin: float) -> float:
    if difference == 0:
        return 0.0
    scale = max(spread, margin / limit)
    return min(difference / scale, 999.0) if scale > 0 else 999.0


class Ewma:
    def __init__(self, limit: float, margin: float, context: Context) -> None:
        self.limit, self.margin = limit, margin
        self.seen, self.mean, self.variance = 0, 0.0, 0.0

    def feed(self, value: float, at_ms: int) -> tuple[float, bool]:
        off = value - self.mean
        figure = in_spreads(abs(off), math.sqrt(self.variance), self.limit, self.margin) if self.seen else math.nan
        part = max(1 / (self.seen + 1), 1 / 500)
        self.mean += part * off
        self.variance = (1 - part) * (self.variance + off * (part * off))
        self.seen = min(self.seen + 1, 500)
        return figure, False


class Robust:
    def __init__(self, limit: float, margin: float, context: Context) -> None:
        self.limit, self.margin = limit, margin
        self.window: deque[float] = deque(maxlen=61)

    def feed(self, value: float, at_ms: int) -> tuple[float, bool]:
        figure = math.nan
        if len(self.window) == 61:
            middle = statistics.median(self.window)
            deviation = statistics.median(abs(v - middle) for v in self.window)
            figure = in_spreads(abs(value - middle), 1.4826 * deviation, self.limit, self.margin)
        self.window.append(value)
        return figure, False


class Hour:
    mean, spread, count, visits = 0.0, 0.0, 0, 0


class Seasonal:
    def __init__(self, limit: float, margin: float, context: Context) -> None:
        self.limit, self.margin, self.zone = limit, margin, ZoneInfo(context.zone)
        self.hours: dict[tuple[int, int], Hour] = {}
        self.last: Hour | None = None

    def feed(self, value: float, at_ms: int) -> tuple[float, bool]:
        local = datetime.fromtimestamp(at_ms // 1_000, UTC).astimezone(self.zone)
        hour = self.hours.setdefault((local.weekday(), local.hour), Hour())
        off = abs(value - hour.mean)
        figure = in_spreads(off, 1.25 * hour.spread, self.limit, self.margin) if hour.visits >= 2 else math.nan
        part = 1 / 100 if figure >= self.limit / 2 else max(1 / (hour.count + 1), 1 / 100)
        if hour.count:
            hour.spread = single(hour.spread + part * (off - hour.spread))
        hour.mean = single(hour.mean + part * (value - hour.mean))
        hour.count = min(hour.count + 1, 100)
        if self.last is not None and self.last is not hour:
            self.last.visits = min(self.last.visits + 1, 255)
        self.last = hour
        return figure, False


def single(value: float) -> float:
    """As kept in 32 bits."""
    return float(np.float32(value))


class Cusum:
    def __init__(self, limit: float, margin: float, context: Context) -> None:
        self.limit, self.margin = limit, margin
        self.day_ms, self.day, self.readings = 0, 0.0, 0
        self.days, self.base, self.spread, self.up, self.down = 0, 0.0, 0.0, 0.0, 0.0

    def feed(self, value: float, at_ms: int) -> tuple[float, bool]:
        self.day_ms = self.day_ms or at_ms
        if at_ms - self.day_ms >= 86_400_000:
            if self.readings >= 4:
                self.close()
            self.day, self.readings = 0.0, 0
            self.day_ms += (at_ms - self.day_ms) // 86_400_000 * 86_400_000
        self.readings += 1
        self.day += (value - self.day) / self.readings
        return max(self.up, self.down), False

    def close(self) -> None:
        off = self.day - self.base
        if self.days >= 7:
            scale = max(1.25 * self.spread, self.margin)
            steps = off / scale if scale > 0 else math.copysign(999.0, off) if off else 0.0
            self.up = min(max(self.up + steps - 0.5, 0.0), 2 * self.limit)
            self.down = min(max(self.down - steps - 0.5, 0.0), 2 * self.limit)
        if max(self.up, self.down) < self.limit / 2:
            if self.days:
                self.spread += max(1 / self.days, 1 / 90) * (abs(off) - self.spread)
            self.base += max(1 / (self.days + 1), 1 / 90) * off
        self.days = min(self.days + 1, 30_000)


class View:
    """A grid over the values seen, with the visits of its cells and of the steps between them."""

    def __init__(self, cells: int, shift: float, steps: bool, margin: float) -> None:
        self.cells, self.shift, self.with_steps, self.margin = cells, shift, steps, margin
        self.power: int | None = None
        self.settled = 0
        self.low = self.high = 0.0
        self.visits: dict[int, int] = {}
        self.steps: dict[tuple[int, int], int] = {}

    def cell(self, value: float) -> int:
        return math.floor(value / (math.ldexp(1.0, self.power) if self.power is not None else 1.0) + self.shift)

    def feed(self, value: float, before: float) -> float:
        around = self.cells + 8
        cell = self.cell(value)
        if self.power is None:
            outside = value != self.low
        else:
            outside = not self.cell(self.low) <= cell <= self.cell(self.high)
        step = (self.cell(before) % around, cell % around)
        new = 1 / (1 + (0 if outside else self.visits.get(cell % around, 0)))
        if self.with_steps:
            new = 0.5 * new + 0.5 / (1 + (0 if outside else self.steps.get(step, 0)))
        if self.settled <= 60:
            new = 0.0
        if self.settled:
            self.low = min(self.low + 1e-4 * (value - self.low), value)
            self.high = max(self.high + 1e-4 * (value - self.high), value)
        else:
            self.low = self.high = value
        self.settled = min(self.settled + 1, 61)
        wanted = max(self.high - self.low, self.margin * self.cells) / self.cells
        if wanted > 0:
            power = math.frexp(wanted)[1]
            if self.power is None or power > self.power or power < self.power - 2:
                self.power, self.settled, self.visits, self.steps = power, 1, {}, {}
        cell, came = self.cell(value) % around, self.cell(before) % around
        self.visits[cell] = min(self.visits.get(cell, 0) + 1, 255)
        self.steps[came, cell] = min(self.steps.get((came, cell), 0) + 1, 255)
        return new


class Score:
    def __init__(self, limit: float, margin: float, context: Context) -> None:
        self.limit = limit
        self.coarse = View(16, 0.0, True, margin)
        self.fine = View(32, 0.5, True, margin)
        self.slow = View(32, 0.5, False, margin)
        self.last: float | None = None
        self.smooth = 0.0
        self.tired, self.rest = 0.0, 0

    def feed(self, value: float, at_ms: int) -> tuple[float, bool]:
        if self.last is None:
            self.last = self.smooth = value
        self.smooth += 1 / 30 * (value - self.smooth)
        quick = 0.5 * (self.coarse.feed(value, self.last) + self.fine.feed(value, self.last))
        new = (1 - 0.4) * quick + 0.4 * self.slow.feed(self.smooth, self.smooth)
        self.last = value
        self.tired *= 1 - 1 / 5_000
        if self.rest:
            self.rest -= 1
            return 0.0, True
        figure = new / (1 + 0.15 * self.tired)
        if figure >= self.limit:
            self.tired += 1
            self.rest = 30
        return figure, False
