"""The parts of a roster: shifts, who swaps with whom, who is on leave, as people.yaml and stations.yaml have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from hub.documents import Strict
from hub.model.places import Leave, Person, Shift, Station, Swap
from hub.registry.findings import Text

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN: Final = 1_440

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _minutes(value: Any) -> Any:
    """Minutes after midnight. YAML 1.1 reads an unquoted 08:30 as sixty-based 510, which is just that."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAY_MIN:
        return value
    hours, colon, minutes = str(value).partition(":")
    if colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2 and int(minutes) < 60:
        at = int(hours) * 60 + int(minutes)
        if at <= DAY_MIN:
            return at
    raise ValueError('expected a time of day from "00:00" to "24:00"')


def _day(value: Any) -> Any:
    """A day as YAML or a text has it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError('expected a day, "2026-12-01"') from None


def _moment(value: Any) -> Any:
    """A day, or a minute of one, on the wall clock of the site."""
    if isinstance(value, date):
        at = value
    else:
        try:
            text = value.strip()
            at = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except (AttributeError, ValueError):
            raise ValueError('expected a day, "2026-12-01", or a minute of it, "2026-12-01 20:00"') from None
    if isinstance(at, datetime) and at.tzinfo is not None:
        raise ValueError("is on the wall clock of the site: write it without a zone")
    return at


Minutes = Annotated[int, BeforeValidator(_minutes)]
CalendarDay = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[datetime | date, BeforeValidator(_moment)]


class ShiftEntry(Strict):
    """Duty from `from` to `to` (over midnight when `to` is not later), on `days` (the day it begins; default all)."""

    start: Minutes = Field(alias="from")
    end: Minutes = Field(alias="to")
    people: tuple[Text, ...] = Field(min_length=1)
    days: tuple[Day, ...] = Field(DAYS, min_length=1)

    def shift(self) -> Shift:
        days = tuple(sorted(DAYS.index(day) for day in set(self.days)))
        return Shift(people=self.people, start_min=self.start, end_min=self.end, days=days)


class SwapEntry(Strict):
    """`in` does the duty of `out` in the shifts that begin on the day `on`; with `from` only in the one that begins then."""

    on: CalendarDay
    outgoing: Text = Field(alias="out", min_length=1)
    incoming: Text = Field(alias="in", min_length=1)
    start: Minutes | None = Field(None, alias="from")

    def swap(self) -> Swap:
        return Swap(day=self.on.toordinal(), outgoing=self.outgoing, incoming=self.incoming, start_min=self.start)


class LeaveEntry(Strict):
    """Away from the day or minute `from` until `until`; a day without a time is meant whole."""

    start: Moment = Field(alias="from")
    end: Moment = Field(alias="until")

    @model_validator(mode="after")
    def _lasts(self) -> LeaveEntry:
        leave = self.leave()
        if leave.end <= leave.start:
            raise ValueError("the leave ends before it begins")
        return self

    def leave(self) -> Leave:
        return Leave(start=_wall(self.start), end=_wall(self.end, whole=True))


def _wall(at: date, *, whole: bool = False) -> int:
    if isinstance(at, datetime):
        return at.toordinal() * DAY_MIN + at.hour * 60 + at.minute
    return (at.toordinal() + whole) * DAY_MIN


def with_leave(station: Station, people: Mapping[str, Person]) -> Station:
    """`station` knowing when those in its roster, and those who stand in for them, are on leave."""
    named = dict.fromkeys(who for shift in station.roster for who in shift.people)
    named |= dict.fromkeys(swap.incoming for swap in station.swaps)
    away = tuple((who, leave) for who in named if who in people for leave in people[who].leave)
    return station if away == station.away else replace(station, away=away)
