"""Slow twin of kind `rate_of_change`."""

from __future__ import annotations

from typing import Any

from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Context
from tests.support.twins.sampling import Recent

_NEARLY = 1 - 1e-9


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        self.when = when
        span = when.min_span_s if when.min_span_s is not None else when.over_s / 2
        self.recent = Recent(int(when.over_s * 1_000), when.min_samples, int(span * 1_000))

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if not self.recent.add(value, at_ms, observed_ms):
            return "unknown"
        when = self.when
        if self._most_reach(when.rises or when.falls or when.changes):
            return "breach"
        return "between" if when.clear_below is not None and self._most_reach(when.clear_below) else "clear"

    def _most_reach(self, rate: float) -> bool:
        per = {"s": 1_000, "min": 60_000, "h": 3_600_000}[self.when.per]
        slopes = [(v1 - v0) / (t1 - t0) * per for t0, v0, t1, v1 in self.recent.pairs()]
        up = sum(slope >= rate * _NEARLY for slope in slopes) > len(slopes) / 2
        down = sum(-slope >= rate * _NEARLY for slope in slopes) > len(slopes) / 2
        return (up and self.when.falls is None) or (down and self.when.rises is None)

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.recent.leap(leap_ms, now_ms)
