"""Who is on duty at a station at a given moment. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from hub.model.places import Shift, Station

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


def covers(shift: Shift, at_ms: int, zone: str) -> bool:
    """Whether `shift` is running at `at_ms`. `days` are the days on which it starts.

    Compared on the wall clock, as people do: when the clock jumps, shifts that cover the 24 hours of the wall still leave
    nobody out, and an hour that comes twice belongs both times to the same crew.
    """
    wall = local(at_ms, zone)
    minute, today = wall.hour * 60 + wall.minute, wall.weekday()
    if shift.start_min < shift.end_min:
        return today in shift.days and shift.start_min <= minute < shift.end_min
    started_today = today in shift.days and minute >= shift.start_min
    started_yesterday = (today - 1) % 7 in shift.days and minute < shift.end_min
    return started_today or started_yesterday


def on_duty(station: Station, at_ms: int, zone: str) -> tuple[str, ...]:
    """Ids of the people on duty at `at_ms`, in the order of the roster, each once. Empty when no shift is running."""
    return tuple(dict.fromkeys(who for shift in station.roster if covers(shift, at_ms, zone) for who in shift.people))
