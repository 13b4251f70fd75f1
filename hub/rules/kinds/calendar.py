"""Hours, days and holidays by the clock on the wall of the site: the `during` of rules, for many instants at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from hub.documents import Strict
from hub.model.readings import Ints
from hub.rules.kinds.kind import Context

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MS: Final = 86_400_000
_FIRST_YEAR, _LAST_YEAR = 1970, 2199  # clocks of hubs show nothing else; beyond, the nearest of these stands in
_EPOCH: Final = date(1970, 1, 1)

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "workdays", "restdays"]


def _time(value: Any) -> Any:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,2}):(\d{2})", value)):
        hour, minute = int(found[1]), int(found[2])
        if (hour < 24 and minute < 60) or (hour, minute) == (24, 0):
            return f"{hour:02}:{minute:02}"
    raise ValueError('a time of day is written "HH:MM", from 00:00 to 24:00')


TimeOfDay = Annotated[
    str,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9]$|^24:00$", "examples": ["22:00"]}),
]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Days = Annotated[
    list[Day],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(get_args(Day))},
                {"type": "array", "items": {"enum": list(get_args(Day))}, "minItems": 1},
            ]
        }
    ),
]


class During(Strict):
    """A stretch of the week on the wall clock of the site (`timezone` in hub.yaml): on these `days`, `from` a time `to` a time.

    A stretch over midnight (from 22:00 to 06:00) belongs to the day on which it begins. When clocks are put forward, times
    that they skip do not come; when they are put back, times that come twice count twice.
    """

    days: Days = Field(
        list(_WEEKDAYS),
        description="Days on which it begins: mon … sun, workdays (Monday to Friday but for holidays, and the working days "
        "that stand in for them, 调休), restdays (all others); one or a list. Default: every day.",
    )
    start: TimeOfDay = Field(
        "00:00", alias="from", description="Time of day at which it begins, quoted. Default: midnight."
    )
    end: TimeOfDay = Field(
        "24:00",
        alias="to",
        description="Time of day at which it ends, quoted; before `from`: on the next day. Default: midnight.",
    )
    holidays: Literal["include", "exclude", "only"] = Field(
        "include",
        description="Holidays of calendar.yaml: like other days (include), left out (exclude), or nothing else (only).",
    )

    @model_validator(mode="after")
    def _says_something(self) -> During:
        if not self.model_fields_set:
            raise ValueError("give days, from, to or holidays: as it stands it is always")
        if self.start == "24:00":
            raise ValueError("it begins at 24:00: write 00:00 and the next day")
        if self.start == self.end:
            raise ValueError(f"from and to are both {self.start}: leave both out for the whole day")
        if self.holidays == "only" and set(self.days) == {"workdays"}:
            raise ValueError("workdays are never holidays: with holidays: only, name restdays, or no days")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A `During` at a site, ready to be asked."""

    zone: str
    start_ms: int  # of the local day
    end_ms: int
    weekdays: NDArray[np.bool_]  # 0 = Monday
    on_workdays: bool
    on_restdays: bool
    holidays: str
    holiday: Ints  # local days since 1970, ascending
    workday: Ints

    @staticmethod
    def of(during: During, context: Context) -> Window:
        names = during.days
        return Window(
            zone=context.zone,
            start_ms=_ms(during.start),
            end_ms=_ms(during.end),
            weekdays=np.array([day in names for day in _WEEKDAYS]),
            on_workdays="workdays" in names,
            on_restdays="restdays" in names,
            holidays=during.holidays,
            holiday=_days(context.holidays),
            workday=_days(context.workdays),
        )

    def open_at(self, at_ms: Ints) -> NDArray[np.bool_]:
        """Whether it is open at each instant. It begins at `from` exactly and has ended at `to`."""
        local = local_ms(at_ms, self.zone)
        day, time = np.floor_divide(local, _DAY_MS), np.mod(local, _DAY_MS)
        if self.start_ms < self.end_ms:
            inside = (time >= self.start_ms) & (time < self.end_ms) & self._begins_on(day)
        else:
            late, early = time >= self.start_ms, time < self.end_ms
            inside = (late & self._begins_on(day)) | (early & self._begins_on(day - 1))
        return np.asarray(inside, np.bool_)

    def open_now(self, now_ms: int) -> bool:
        return bool(self.open_at(np.array([now_ms], np.int64))[0])

    def _begins_on(self, day: Ints) -> NDArray[np.bool_]:
        weekday = np.mod(day + 3, 7)  # 1970 began on a Thursday
        chosen = self.weekdays[weekday]
        if self.on_workdays or self.on_restdays:
            works = ((weekday < 5) & ~np.isin(day, self.holiday)) | np.isin(day, self.workday)
            chosen = chosen | np.where(works, self.on_workdays, self.on_restdays)
        if self.holidays != "include":
            chosen = chosen & (np.isin(day, self.holiday) == (self.holidays == "only"))
        return np.asarray(chosen, np.bool_)


def _ms(time: str) -> int:
    hour, minute = time.split(":")
    return (int(hour) * 60 + int(minute)) * 60_000


def _days(dates: Iterable[date]) -> Ints:
    return np.array(sorted((one - _EPOCH).days for one in dates), np.int64)


def local_ms(at_ms: Ints, zone: str) -> Ints:
    """Milliseconds since 1970-01-01 00:00 as the wall clocks of `zone` show them, at each instant."""
    if not len(at_ms):
        return at_ms
    years = (
        np.array([at_ms.min(), at_ms.max()]).astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970
    )
    first, last = (int(year) for year in np.clip(years, _FIRST_YEAR, _LAST_YEAR))
    since_ms, offset_ms = _stretches(zone, first, last)
    return at_ms + offset_ms[np.maximum(np.searchsorted(since_ms, at_ms, side="right") - 1, 0)]


@lru_cache(maxsize=256)
def _stretches(zone: str, first_year: int, last_year: int) -> tuple[Ints, Ints]:
    """Since when which offset holds, from the first year to the end of the last."""
    clocks = ZoneInfo(zone)

    def offset(at_s: int) -> timedelta:
        found = datetime.fromtimestamp(at_s, clocks).utcoffset()
        assert found is not None
        return found

    begin, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (first_year, last_year + 1))
    since, offsets = [begin], [offset(begin)]
    for day_s in range(begin + 86_400, end + 1, 86_400):
        if offset(day_s) == offsets[-1]:
            continue
        before, after = day_s - 86_400, day_s
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offsets[-1] else (before, middle)
        since.append(after)
        offsets.append(offset(day_s))
    return (
        np.array(since, np.int64) * 1_000,
        np.array([one // timedelta(milliseconds=1) for one in offsets], np.int64),
    )
