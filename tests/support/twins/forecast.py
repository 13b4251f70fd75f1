"""Slow twin of kind `forecast`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Context
from tests.support.twins.sampling import Recent


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        self.when = when
        span = when.min_span_s if when.min_span_s is not None else when.over_s / 2
        self.recent = Recent(int(when.over_s * 1_000), when.min_samples, int(span * 1_000))

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        when = self.when
        if not self.recent.add(value, at_ms, observed_ms):
            return "unknown"
        if self._share_there_in(when.within_s) >= Fraction(3, 4):
            return "breach"
        if self._there(value) or self._share_there_in(when.clear_within_s or when.within_s) > Fraction(1, 2):
            return "between"
        return "clear"

    def _there(self, value: float | Fraction) -> bool:
        limit = Fraction(self.when.reaches)
        return value >= limit if self.when.direction == "up" else value <= limit

    def _share_there_in(self, seconds: float) -> Fraction:
        """Of all lines through two samples: how many are at the limit or beyond it in so many seconds."""
        pairs = self.recent.pairs()
        then = self.recent.clock.newest + Fraction(seconds * 1_000 * (1 + 1e-9))  # decimals are not exact
        there = 0
        for t0, v0, t1, v1 in pairs:
            slope = (Fraction(v1) - Fraction(v0)) / (t1 - t0)
            there += self._there(Fraction(v1) + slope * (then - t1))
        return Fraction(there, len(pairs))

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.recent.leap(leap_ms, now_ms)
