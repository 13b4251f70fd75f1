"""Slow twin of kind `repeat`."""

from __future__ import annotations

import math
from typing import Any

from hub.model.quantities import Quantity, spoken
from hub.rules.kinds.kind import Context
from tests.support.twins import leapt
from tests.support.twins.sampling import Clock


def meaning(when: Any, quantity: Quantity, value: float) -> str:
    """What a value is to a limit, in words."""
    if math.isnan(value):
        return "unknown"
    if when.equals is not None:
        wanted = when.equals if isinstance(when.equals, list) else [when.equals]
        return "beyond" if spoken(quantity, value) in wanted else "back"
    if when.above is not None and value > when.above:
        return "beyond"
    if when.at_least is not None and value >= when.at_least:
        return "beyond"
    if when.below is not None and value < when.below:
        return "beyond"
    if when.at_most is not None and value <= when.at_most:
        return "beyond"
    if when.clear_below is not None and value >= when.clear_below:
        return "between"
    if when.clear_above is not None and value <= when.clear_above:
        return "between"
    return "back"


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        assert quantity is not None
        self.when, self.quantity = when, quantity
        self.clock = Clock(int(when.within_s * 1_000))
        self.times: list[int] = []
        self.beyond = False

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        what = meaning(self.when, self.quantity, value)
        if what == "unknown":
            return "unknown"
        time, _, _ = self.clock.place(at_ms, observed_ms)
        now = max([time, *self.times[-1:]])
        if what == "beyond" and not self.beyond:
            self.times.append(now)
        if what != "between":
            self.beyond = what == "beyond"
        return "breach" if self._often(now) else "clear"

    def _often(self, now: int) -> bool:
        latest = self.times[-self.when.times :]
        return len(latest) == self.when.times and now - latest[0] <= self.when.within_s * 1_000

    def passing(self, now_ms: int) -> str:
        return "unknown" if not self.clock.newest or self._often(now_ms) else "clear"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.clock.leap(leap_ms, now_ms)
        self.times = [leapt(time, leap_ms, now_ms) for time in self.times]
