"""Loads `config/calendar.yaml`: the holidays of a site, and the working days that stand in for them (调休)."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from hub import documents
from hub.documents import Document, Strict
from hub.errors import Complaint, ConfigError
from hub.rules.kinds.kind import Context

CALENDAR_FILE: Final = "calendar.yaml"
_LONGEST_DAYS: Final = 100  # a school's summer; more is a slip of the year


def _date(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else value
    except ValueError as bad:
        raise ValueError(f"no such day: {bad}") from None


Date = Annotated[
    date,
    BeforeValidator(_date),
    Field(strict=True),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-10-01"]}),
]


class Holiday(Strict):
    """One day (`on`), or several in a row (`from` … `to`, both included)."""

    name: str = Field("", description="For people, e.g. 国庆节.")
    on: Date | None = Field(None, description="The day, year-month-day.")
    first: Date | None = Field(None, alias="from", description="The first of several days.")
    last: Date | None = Field(None, alias="to", description="The last of them.")

    @model_validator(mode="after")
    def _one_form(self) -> Holiday:
        if (self.on is None) == (self.first is None) or (self.first is None) != (self.last is None):
            raise ValueError("give on (one day), or from and to (several)")
        if self.first is not None and self.last is not None and not self.first <= self.last:
            raise ValueError(f"it ends on {self.last}, before it begins on {self.first}")
        if len(self.days) > _LONGEST_DAYS:
            raise ValueError(f"{len(self.days)} days in a row: is the year right?")
        return self

    @property
    def days(self) -> list[date]:
        first, last = self.on or self.first, self.on or self.last
        assert first is not None
        assert last is not None
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]


class CalendarFile(Strict):
    """The year as the authorities announce it. Add each new year to it; old ones may stay for replays."""

    holidays: list[Holiday] = Field([], description="Days off, weekends within them included.")
    workdays: list[Date] = Field([], description="Saturdays and Sundays on which people work instead (调休).")


def load_context(folder: Path, *, zone: str) -> Context:
    """What rule kinds know of the site: its zone, and the days of `folder`/calendar.yaml. No file: no holidays.

    Raises ConfigError with every complaint.
    """
    path = folder / CALENDAR_FILE
    if not path.exists():
        return Context(zone=zone)
    document, complaints = documents.read(path)
    if document is None:
        raise ConfigError(complaints)
    return context_of(document, complaints, zone=zone)


def context_of(document: Document, complaints: list[Complaint] | None = None, *, zone: str) -> Context:
    """The same of a calendar that was read already."""
    calendar, wrong = documents.check(CalendarFile, document)
    complaints = [*(complaints or ()), *wrong]
    if calendar is None:
        raise ConfigError(complaints)
    holidays: dict[date, int] = {}
    for n, holiday in enumerate(calendar.holidays):
        again = [day for day in holiday.days if day in holidays]
        if again:
            first = document.line(("holidays", holidays[again[0]]))
            complaints.append(
                document.complain(
                    ("holidays", n), f"{again[0]} is a holiday already", f"correct one (the first is at line {first})"
                )
            )
        holidays |= {day: n for day in holiday.days if day not in holidays}
    for n, day in enumerate(calendar.workdays):
        at: documents.Path_ = ("workdays", n)
        if day in calendar.workdays[:n]:
            complaints.append(document.complain(at, f"{day} is given twice", "remove one"))
        if day in holidays:
            complaints.append(
                document.complain(at, f"{day} is a holiday as well", "remove it here, or take it out of the holiday")
            )
        elif day.weekday() < 5:
            complaints.append(
                document.complain(
                    at, f"{day} is a {day:%A}, a working day in any case", "check the date; only weekends stand in"
                )
            )
    if complaints:
        raise ConfigError(complaints)
    return Context(zone=zone, holidays=frozenset(holidays), workdays=frozenset(calendar.workdays))


def outdated(context: Context, today: date) -> str:
    """Why the calendar should be looked at, or "": it has days, but none of this year (or, in December, of the next)."""
    known = {day.year for day in context.holidays | context.workdays}
    wanted = today.year + (today.month == 12)
    if not known or wanted in known or (wanted > today.year and max(known) > wanted):
        return ""
    return f"the calendar ends with {max(known)}: without the holidays of {wanted}, they are working days to the rules"
