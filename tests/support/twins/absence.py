"""Something should have followed and did not."""

from __future__ import annotations

import math
from typing import Any

from hub.model.quantities import QUANTITIES, Quantity
from hub.rules.kinds.kind import Context
from tests.support.twins import leapt
from tests.support.twins.schedule import limited


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        assert quantity is not None
        self.when, self.quantity = when, quantity
        self.asked = False  # what an answer is waited for after lasts
        self.answered = False  # and the answer has come
        self.last_fits = False
        self.last_ms = 0

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        if quantity == self.quantity.name:
            self.last_fits, self.last_ms = limited(self.when.expect, self.quantity, value) == "breach", at_ms
            if self.last_fits:
                self.answered = True
            elif self.when.keep:
                self.answered = False
        elif quantity == self.when.after.quantity:
            match limited(self.when.after, QUANTITIES[quantity], value):
                case "breach":
                    self._ask(at_ms)
                case "clear":
                    self.asked = False
        return self._word()

    def _ask(self, at_ms: int) -> None:
        waits = self.asked and not self.answered
        self.asked = True
        if not waits:  # an answer that is waited for gets no more time by asking again
            fresh = self.when.fresh_s is None or at_ms - self.last_ms <= self.when.fresh_s * 1_000
            self.answered = self.last_fits and fresh

    def _word(self) -> str:
        return "breach" if self.asked and not self.answered else "clear"

    def triggered(self, raised: bool, at_ms: int) -> str:
        if raised:
            self._ask(at_ms)
        else:
            self.asked = False
        return self._word()

    def passing(self, now_ms: int) -> str:
        return "unknown"

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.last_ms = leapt(self.last_ms, leap_ms, now_ms)
