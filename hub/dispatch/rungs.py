"""Who hears one rung of a ladder: its people, and where nobody of them can be reached, whoever can be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from hub.dispatch.policy import Step
from hub.dispatch.routing import CONSOLE, Reached, Spot, Tell, Ways, console_of, reach, station_of
from hub.model.alerts import Alert
from hub.registry.snapshot import Registry

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
