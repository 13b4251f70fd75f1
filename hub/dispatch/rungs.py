"""Who hears one rung of a ladder: its people, and where nobody of them can be reached, whoever can be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hub.dispatch.policy import Step
from hub.dispatch.roster import on_duty
from hub.dispatch.routing import CONSOLE, Reached, Spot, Tell, Ways, console_of, people_of, reach, station_of
from hub.model.alerts import Alert
from hub.registry.snapshot import Registry

NO_DRILL_LIST = "nobody of the drill's list can be reached"
CLIMB: tuple[Tell, ...] = ("station", "backup_stations", "grid", "compound", "community", "street", "anyone")


def reach_step(
    registry: Registry, step: Step, spot: Spot, now_ms: int, zone: str, *, ways: Ways, locale: str
) -> Reached:
    """The people of `step` for what happens at `spot`; where nobody can be reached, further up the ladder until somebody can."""
    ways = ways.only(step.channels) if step.channels else ways

    def asked(tell: Tell) -> Reached:
        return reach(registry, tell, spot, now_ms, zone, ways=ways, locale=locale)

    found = together(asked(tell) for tell in step.tell)
    if ways.away:
        if "station" in step.tell and station_of(registry, spot) is None:
            found += asked("community") + asked("street")
        if not found.somebody:
            found += _climb(asked)
    if CONSOLE in ways.channels and not any(r.is_station for r in found.recipients):
        found += Reached((console_of(registry, spot, locale),))
    return found


@dataclass(frozen=True, slots=True)
class ListReached:
    """Who of a list is reached. `watched`: somebody on duty looks at the console of a station on it."""

    reached: Reached
    watched: bool

    @property
    def somebody(self) -> bool:
        return self.reached.somebody


def reach_list(
    registry: Registry, ids: Iterable[str], spot: Spot, now_ms: int, zone: str, *, ways: Ways, locale: str
) -> ListReached:
    """Those of a drill's list, stations with their crew on duty; and the console of the place, where it is seen in any case."""
    found, watched = Reached(), False
    for one in ids:
        station = registry.stations.get(one)
        if station is not None:
            there = Spot(place="", grid="", station=one)
            found += reach(registry, "station", there, now_ms, zone, ways=ways, locale=locale)
            watched |= any(
                channel == CONSOLE
                for who in on_duty(station, now_ms, zone)
                if who in registry.people
                for channel, _ in registry.people[who].contacts
            )
        else:
            found += people_of(registry, (one,), ways)
    if CONSOLE in ways.channels:
        found += Reached((console_of(registry, spot, locale),))
    return ListReached(found, watched)


def _climb(asked: Callable[[Tell], Reached]) -> Reached:
    """The first group up the ladder in which somebody can be reached; what was missing on the way is said with it."""
    missing: tuple[str, ...] = ()
    for tell in CLIMB:
        higher = asked(tell)
        missing += higher.gaps
        if higher.somebody:
            return Reached(higher.recipients, missing)
    return Reached((), missing)


def together(parts: Iterable[Reached]) -> Reached:
    found = Reached()
    for part in parts:
        found += part
    return found


def but_who_answered(found: Reached, alert: Alert) -> Reached:
    """`found` without the one who has acknowledged `alert`: they know, and are on their way. Never nobody."""
    others = tuple(recipient for recipient in found.recipients if recipient.id != alert.acked_by)
    after = replace(found, recipients=others)
    return after if after.somebody else found
