"""A switch or state that goes into, or out of, certain values."""

from __future__ import annotations

import math
from typing import Any

from hub.model.quantities import QUANTITIES, Quantity, spoken
from hub.rules.kinds.kind import Context
from tests.support.twins import leapt
from tests.support.twins.schedule import is_during


def listed(words: Any) -> list[Any]:
    return [] if words is None else words if isinstance(words, list) else [words]


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        assert quantity is not None
        self.when, self.quantity, self.context = when, quantity, context
        self.excuses = listed(when.unless)
        self.now: Any = None  # the latest known value
        self.wrong = False
        self.changed_ms = 0
        self.told_ms = [0] * len(self.excuses)
        self.stands = [False] * len(self.excuses)

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        word = spoken(QUANTITIES[quantity], value)
        if quantity == self.quantity.name:
            self._changed(word, at_ms)
        else:
            for n, excuse in enumerate(self.excuses):
                if excuse.quantity == quantity:
                    self.stands[n] = word in listed(excuse.equals)
                    if self.stands[n]:
                        self.told_ms[n] = at_ms
                        if at_ms - self.changed_ms < self.when.wait_s * 1_000:
                            self.wrong = False
        if self.now is None:
            return "unknown"
        return "breach" if self.wrong else "clear"

    def _changed(self, word: Any, at_ms: int) -> None:
        before, self.now = self.now, word
        if not self._is_target(word):
            self.wrong = False
        elif self._is_change(before):
            self.wrong = not self._excused(at_ms) and not (
                self.when.outside is not None and is_during(self.when.outside, self.context, at_ms)
            )
            self.changed_ms = at_ms

    def _is_target(self, word: Any) -> bool:
        return word in listed(self.when.to) if self.when.to is not None else word not in listed(self.when.from_)

    def _is_change(self, before: Any) -> bool:
        if before is None:
            return self.when.from_ is None and not self.excuses and self.when.outside is None
        if self.when.from_ is not None:
            return before in listed(self.when.from_)
        return not self._is_target(before)

    def _excused(self, at_ms: int) -> bool:
        for n, excuse in enumerate(self.excuses):
            if excuse.within_s is None:
                if self.stands[n]:
                    return True
            elif self.told_ms[n] and at_ms - self.told_ms[n] <= excuse.within_s * 1_000:
                return True
        return False

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.changed_ms = leapt(self.changed_ms, leap_ms, now_ms)
        self.told_ms = [leapt(one, leap_ms, now_ms) for one in self.told_ms]
