"""Who is on duty at a station at a given moment. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from hub.model.places import Person, Shift, Station

NORM_ON_DUTY = 3
"""People per shift that the district standard for community micro stations asks for; fewer is shown as a gap."""

_zone = cache(ZoneInfo)


def local(at_ms: int, zone: str) -> datetime:
    """`at_ms` as wall-clock time in the IANA zone `zone`."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(_zone(zone))


def minute_of_day(at_ms: int, zone: str) -> int:
    """Minutes since local midnight as the clock on the wall shows them, 0 … 1439."""
    wall = local(at_ms, zone)
    return wall.hour * 60 + wall.minute


def within(minute: int, start_min: int, end_min: int) -> bool:
    """Whether `minute` of the day lies in [start, end); `end <= start` runs over midnight, equal means the whole day."""
    if start_min < end_min:
        return start_min <= minute < end_min
    return minute >= start_min or minute < end_min


def wall_minute(at_ms: int, zone: str) -> int:
    """Minutes since the first of January of the year 1 as calendar and clock on the wall show them: what `Leave` counts in."""
    wall = local(at_ms, zone)
    return wall.toordinal() * 1_440 + wall.hour * 60 + wall.minute


def began(shift: Shift, wall: int) -> int | None:
    """The day (ordinal) on which the run of `shift` began that is running at `wall` (see `wall_minute`); None when it is not running."""
    today, minute = divmod(wall, 1_440)
    if shift.start_min < shift.end_min:
        running = shift.start_min <= minute < shift.end_min
        return today if running and _weekday(today) in shift.days else None
    if minute >= shift.start_min:
        return today if _weekday(today) in shift.days else None
    return today - 1 if minute < shift.end_min and _weekday(today - 1) in shift.days else None


def _weekday(day: int) -> int:
    return (day + 6) % 7


def covers(shift: Shift, at_ms: int, zone: str) -> bool:
    """Whether `shift` is running at `at_ms`. `days` are the days on which it starts.

    Compared on the wall clock, as people do: when the clock jumps, shifts that cover the 24 hours of the wall still leave
    nobody out, and an hour that comes twice belongs both times to the same crew.
    """
    return began(shift, wall_minute(at_ms, zone)) is not None


def on_duty(station: Station, at_ms: int, zone: str) -> tuple[str, ...]:
    """Ids of the people on duty at `at_ms`, in the order of the roster, each once. Empty when no shift is running.

    Who is swapped out is replaced; who is on leave is not on duty, also when somebody swapped with them.
    """
    return crew_at(station, wall_minute(at_ms, zone))


def crew_at(station: Station, wall: int) -> tuple[str, ...]:
    """`on_duty` at a moment of the wall clock, see `wall_minute`."""
    crew: dict[str, None] = {}
    for shift in station.roster:
        day = began(shift, wall)
        if day is None:
            continue
        instead = {
            swap.outgoing: swap.incoming
            for swap in station.swaps
            if swap.day == day and swap.start_min in (None, shift.start_min)
        }
        crew.update(dict.fromkeys(instead.get(who, who) for who in shift.people))
    if not station.away:
        return tuple(crew)
    away = {who for who, leave in station.away if leave.start <= wall < leave.end}
    return tuple(who for who in crew if who not in away)


def spans(station: Station, from_ms: int, until_ms: int, zone: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """(from, until, crew) of every stretch of time in which the same people are on duty, to the minute."""
    found: list[tuple[int, int, tuple[str, ...]]] = []
    at_ms = from_ms
    while at_ms < until_ms:
        crew = on_duty(station, at_ms, zone)
        following = min(at_ms - at_ms % 60_000 + 60_000, until_ms)
        if found and found[-1][2] == crew:
            found[-1] = (found[-1][0], following, crew)
        else:
            found.append((at_ms, following, crew))
        at_ms = following
    return found


def is_away(person: Person, at_ms: int, zone: str) -> bool:
    """Whether `person` is on leave at `at_ms`."""
    if not person.leave:
        return False
    wall = wall_minute(at_ms, zone)
    return any(leave.start <= wall < leave.end for leave in person.leave)
