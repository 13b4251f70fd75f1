"""A limit that counts within certain hours only."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.model.quantities import Quantity, spoken
from hub.rules.kinds.kind import Context

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Twin:
    def __init__(self, when: Any, quantity: Quantity | None, context: Context) -> None:
        assert quantity is not None
        self.when, self.quantity, self.context = when, quantity, context
        self.last: float | None = None

    def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str:
        if math.isnan(value):
            return "unknown"
        self.last = value
        return limited(self.when, self.quantity, value) if is_during(self.when.during, self.context, at_ms) else "clear"

    def passing(self, now_ms: int) -> str:
        if self.last is None:
            return "unknown"
        return (
            limited(self.when, self.quantity, self.last)
            if is_during(self.when.during, self.context, now_ms)
            else "clear"
        )

    def leap(self, leap_ms: int, now_ms: int) -> None:
        pass  # the value stands, and the hours are those of the wall clock


def limited(when: Any, quantity: Quantity, value: float) -> str:
    """What a number says about a limit: breach, between or clear."""
    if when.equals is not None:
        wanted = when.equals if isinstance(when.equals, list) else [when.equals]
        return "breach" if spoken(quantity, value) in wanted else "clear"
    if when.above is not None or when.at_least is not None:
        if (when.above is not None and value > when.above) or (when.at_least is not None and value >= when.at_least):
            return "breach"
        clear_below = getattr(when, "clear_below", None)
        return "between" if clear_below is not None and value >= clear_below else "clear"
    if (when.below is not None and value < when.below) or (when.at_most is not None and value <= when.at_most):
        return "breach"
    clear_above = getattr(when, "clear_above", None)
    return "between" if clear_above is not None and value <= clear_above else "clear"


def is_during(during: Any, context: Context, at_ms: int) -> bool:
    """Whether an instant lies within the hours, as the clock on the wall shows them."""
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(context.zone))
    now = wall.strftime("%H:%M")

    def begins(day: date) -> bool:
        works = (day.weekday() < 5 and day not in context.holidays) or day in context.workdays
        if not {WEEK[day.weekday()], "workdays" if works else "restdays"} & set(during.days):
            return False
        return {"include": True, "exclude": day not in context.holidays, "only": day in context.holidays}[
            during.holidays
        ]

    today, yesterday = wall.date(), wall.date() - timedelta(days=1)
    if during.start < during.end:
        return during.start <= now < during.end and begins(today)
    return (now >= during.start and begins(today)) or (now < during.end and begins(yesterday))
