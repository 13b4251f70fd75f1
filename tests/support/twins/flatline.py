"""Slow twin of kind `flatline`."""

from __future__ import annotations

import math
from typing import Any

from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Context
from tests.support.twins import leapt


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        self.when = when
        self.tolerance = when.tolerance * (1 + 1e-9)  # decimals are not exact
        self.same: list[float] = []  # readings that say the same, since the watch began
        self.began = self.last = 0
        self.after_change = False

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        when = self.when
        if math.isnan(value):
            return "unknown"
        changed = bool(self.same) and max(*self.same, value) - min(*self.same, value) > self.tolerance
        may_stand = any(abs(value - still) <= self.tolerance for still in when.idle_at)
        silence = at_ms - self.last >= when.for_s * 500
        if not self.same or changed or may_stand or silence:
            self.same, self.began = [], at_ms
            self.after_change = changed or may_stand
        self.same.append(value)
        self.last = at_ms
        if at_ms - self.began >= when.for_s * 1_000 and len(self.same) >= when.min_samples:
            return "breach"
        return "clear" if self.after_change else "unknown"

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.began = leapt(self.began, leap_ms, now_ms)
        self.last = leapt(self.last, leap_ms, now_ms)
