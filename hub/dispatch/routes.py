"""The way of an alert from a device to people, shown for one device and proven for all: the same functions as the live path. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from hub.dispatch.policy import EscalationPolicy, Ladder, Step
from hub.dispatch.roster import NORM_ON_DUTY, crew_at, is_away, local, wall_minute
from hub.dispatch.routing import (
    CONSOLE,
    Reached,
    Spot,
    Ways,
    is_verified,
    mutual_aid,
    path_of,
    spot_of,
    station_of,
)
from hub.dispatch.rungs import reach_step, together
from hub.model.places import LADDER, Person
from hub.registry.snapshot import Registry

HOUR_MS = 3_600_000
AHEAD_HOURS = 7 * 24
SHOWN_DEVICES = 5
_LAST_RESORT = "no responsible person can be reached"


@dataclass(frozen=True, slots=True)
class Hearer:
    """A station or person that is told. `verified`: channels that were proven to reach them; `on_duty`: who is on duty at the station."""

    id: str
    name_zh: str
    name_en: str
    contacts: tuple[str, ...]
    verified: tuple[str, ...]
    is_station: bool
    on_duty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteStep:
    """One rung as it would be climbed: after how long, unless what, who is told, what is missing."""

    after_s: int
    unless: str
    tell: tuple[str, ...]
    hearers: tuple[Hearer, ...]
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The way of an alert of `severity` at `device` that is raised at `at_ms`. `repeat_s`, `go_on_s` as in the ladder."""

    device: str
    known: bool
    severity: str
    at_ms: int
    night: bool
    spot: Spot
    steps: tuple[RouteStep, ...]
    repeat_s: int | None
    go_on_s: int | None
    gaps: tuple[str, ...]

    @property
    def reaches(self) -> bool:
        """Whether at least one person is told at once by a verified way."""
        return not any(gap in UNREACHED for gap in self.gaps)


UNREACHED = (
    NOBODY := "nobody at all can be reached",
    UNVERIFIED := "nobody who is told at once has a verified contact",
)
"""Gaps with which nothing proves that anybody hears the alert; with all others somebody does."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One cause for which devices miss somebody, over the moments that were asked for.

    `open`: while it lasts nothing proves that anybody is reached; else somebody is, and this is missing. `moments` of all that
    were asked for, the first and last of them; `devices` and a few of their ids.
    """

    cause: str
    open: bool
    devices: int
    examples: tuple[str, ...]
    moments: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What `audit` found. `routes` is the number of different ways that were walked, `moments` that of the moments."""

    from_ms: int
    until_ms: int
    devices: int
    routes: int
    moments: int
    gaps: tuple[Gap, ...]

    @property
    def open(self) -> tuple[Gap, ...]:
        return tuple(gap for gap in self.gaps if gap.open)


@dataclass(slots=True)
class _Seen:
    """One cause while it is being collected."""

    groups: set[int] = field(default_factory=set)
    moments: set[int] = field(default_factory=set)


def route(
    registry: Registry,
    policy: EscalationPolicy,
    device_id: str,
    at_ms: int,
    zone: str,
    *,
    ways: Ways,
    locale: str,
    severity: str = "P1",
    rule: str = "",
) -> Route:
    """The way of an alert of `severity` (of the rule with id `rule`, which may have a ladder of its own) at `device_id`."""
    ladder, spot = _ladder(policy, severity, rule), spot_of(registry, device_id)
    night = policy.night.at(at_ms, zone)
    steps = tuple(_climbed(registry, ladder, spot, at_ms, zone, ways, locale, night=night))
    return Route(
        device=device_id,
        known=registry.find(device_id) is not None,
        severity=severity,
        at_ms=at_ms,
        night=night,
        spot=spot,
        steps=steps,
        repeat_s=ladder.repeat_s,
        go_on_s=ladder.go_on_s,
        gaps=_gaps(registry, ladder, spot, at_ms, zone, ways)[0],
    )


def _ladder(policy: EscalationPolicy, severity: str, rule: str = "") -> Ladder:
    own = policy.rules.get(rule)
    return policy.ladder(severity) if own is None or (severity == "P1" and not own.fit_for_fire) else own


def _climbed(
    registry: Registry, ladder: Ladder, spot: Spot, at_ms: int, zone: str, ways: Ways, locale: str, *, night: bool
) -> Iterator[RouteStep]:
    for step in ladder.steps:
        after_s = step.due_s(night=night)
        found = reach_step(registry, step, spot, at_ms + after_s * 1_000, zone, ways=ways, locale=locale)
        wall = wall_minute(at_ms + after_s * 1_000, zone)
        hearers = tuple(
            Hearer(
                id=r.id,
                name_zh=r.name.zh,
                name_en=r.name.en,
                contacts=tuple(channel for channel, _ in r.contacts),
                verified=()
                if r.is_station
                else tuple(c[0] for c in r.contacts if is_verified(registry, r.id, c, ways)),
                is_station=r.is_station,
                on_duty=crew_at(registry.stations[r.id], wall) if r.id in registry.stations else (),
            )
            for r in found.recipients
        )
        yield RouteStep(after_s, step.unless, tuple(step.tell), hearers, found.gaps)


def _gaps(
    registry: Registry, ladder: Ladder, spot: Spot, at_ms: int, zone: str, ways: Ways
) -> tuple[tuple[str, ...], bool]:
    """What is missing on the way, and whether the last resort had to be asked."""
    rungs = [reach_step(registry, step, spot, at_ms, zone, ways=ways, locale="en") for step in ladder.steps]
    first, whole = rungs[0], together(rungs)
    said = list(whole.gaps)
    crew = _crew(registry, first, spot, at_ms, zone)
    if not whole.somebody and not _watchers(crew, ladder.steps[0], ways):
        said = [NOBODY, *(gap for gap in said if gap != NOBODY)]
    elif not _proven(registry, first, crew, ladder.steps[0], ways):
        said.insert(0, UNVERIFIED)
    said += _unproven(registry, whole, crew, ways)
    said += _thin(registry, spot, at_ms, zone)
    return tuple(dict.fromkeys(said)), any(gap.startswith(_LAST_RESORT) for gap in said)


def _crew(registry: Registry, found: Reached, spot: Spot, at_ms: int, zone: str) -> tuple[Person, ...]:
    """The people on duty at the stations that are told at once."""
    wall = wall_minute(at_ms, zone)
    told = [registry.stations[r.id] for r in found.recipients if r.is_station and r.id in registry.stations]
    return tuple(registry.people[who] for station in told for who in crew_at(station, wall) if who in registry.people)


def _watchers(crew: tuple[Person, ...], step: Step, ways: Ways) -> list[Person]:
    """Those who look at the console of their station, where the rung goes to the console."""
    shown = CONSOLE in ways.channels and (not step.channels or CONSOLE in step.channels)
    return [p for p in crew if shown and any(channel == CONSOLE for channel, _ in p.contacts)]


def _proven(registry: Registry, found: Reached, crew: tuple[Person, ...], step: Step, ways: Ways) -> bool:
    """Whether somebody hears it by a way that was proven: a verified contact, or the console that they look at."""
    people = (r for r in found.recipients if not r.is_station)
    return any(is_verified(registry, r.id, contact, ways) for r in people for contact in r.contacts) or any(
        CONSOLE in p.verified for p in _watchers(crew, step, ways)
    )


def _unproven(registry: Registry, found: Reached, crew: tuple[Person, ...], ways: Ways) -> Iterator[str]:
    watching = {p.id for p in crew if CONSOLE in p.verified}
    for r in found.recipients:
        if r.is_station or not r.contacts or r.id in watching:
            continue
        if not any(is_verified(registry, r.id, contact, ways) for contact in r.contacts):
            yield f"person {r.id} has no verified contact"


def _thin(registry: Registry, spot: Spot, at_ms: int, zone: str) -> tuple[str, ...]:
    station = station_of(registry, spot)
    present = len(crew_at(station, wall_minute(at_ms, zone))) if station else 0
    if station is None or present == 0 or present >= NORM_ON_DUTY:
        return ()
    return (f"only {present} of {NORM_ON_DUTY} on duty at station {station.id}",)


# -- all devices ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """Devices whose alerts go the same way: the same station, and the same places up the ladder."""

    spot: Spot
    devices: int
    examples: tuple[str, ...]


def moments_from(at_ms: int, zone: str, *, hours: int = AHEAD_HOURS) -> tuple[int, ...]:
    """`at_ms`, and every full and half hour of the wall clock in the `hours` after it: shifts change on those."""
    wall = local(at_ms, zone)
    into_ms = (wall.minute % 30 * 60 + wall.second) * 1_000 + wall.microsecond // 1_000
    first = at_ms - into_ms + HOUR_MS // 2
    return (at_ms, *range(first, at_ms + hours * HOUR_MS + 1, HOUR_MS // 2))


def audit(
    registry: Registry,
    policy: EscalationPolicy,
    at_ms: int,
    zone: str,
    *,
    ways: Ways,
    severity: str = "P1",
    hours: int = AHEAD_HOURS,
) -> Audit:
    """Whether an alert of every device reaches a verified, reachable person at `at_ms` and through the `hours` after it.

    Devices of the same way are walked once, and moments with the same people on duty too.
    """
    moments = moments_from(at_ms, zone, hours=hours)
    walls = [wall_minute(moment, zone) for moment in moments]
    crews = {s.id: _numbered([crew_at(s, wall) for wall in walls]) for s in registry.stations.values()}
    leavers = [p for p in registry.people.values() if p.leave]
    away = _numbered([tuple(p.id for p in leavers if is_away(p, moment, zone)) for moment in moments])
    everything = _numbered(list(zip(*crews.values(), away, strict=True)))
    ladder = _ladder(policy, severity)
    groups = _groups(registry)
    seen: dict[str, _Seen] = {}
    for n, group in enumerate(groups):
        station = station_of(registry, group.spot)
        asked = () if station is None else (station.id, *mutual_aid(registry, station))
        near = _numbered(list(zip(*(crews[s] for s in asked if s in crews), away, strict=True)))
        known: dict[tuple[bool, int], tuple[str, ...]] = {}
        for m, moment in enumerate(moments):
            gaps = known.get((False, near[m]), known.get((True, everything[m])))
            if gaps is None:
                gaps, last_resort = _gaps(registry, ladder, group.spot, moment, zone, ways)
                known[(True, everything[m]) if last_resort else (False, near[m])] = gaps
            for cause in gaps:
                found = seen.setdefault(cause, _Seen())
                found.groups.add(n)
                found.moments.add(m)
    gaps_found = sorted((_gap(cause, found, groups, moments) for cause, found in seen.items()), key=_worst_first)
    return Audit(
        from_ms=moments[0],
        until_ms=moments[-1],
        devices=sum(group.devices for group in groups),
        routes=len(groups),
        moments=len(moments),
        gaps=tuple(gaps_found),
    )


def _worst_first(gap: Gap) -> tuple[bool, int, str]:
    return not gap.open, -gap.devices * gap.moments, gap.cause


def _gap(cause: str, found: _Seen, groups: list[_Group], moments: tuple[int, ...]) -> Gap:
    touched = [groups[n] for n in sorted(found.groups)]
    examples = [device for group in touched for device in group.examples][:SHOWN_DEVICES]
    return Gap(
        cause=cause,
        open=cause in UNREACHED,
        devices=sum(group.devices for group in touched),
        examples=tuple(examples),
        moments=len(found.moments),
        first_ms=moments[min(found.moments)],
        last_ms=moments[max(found.moments)],
    )


def _numbered(states: list[object]) -> list[int]:
    """The number of the first state that is equal, for each: comparing numbers is cheap."""
    known: dict[object, int] = {}
    return [known.setdefault(state, len(known)) for state in states]


def _groups(registry: Registry) -> list[_Group]:
    """The devices of the registry by their way. Devices of one grid and place are looked at once."""
    slots = np.flatnonzero(registry.active)
    grid, place = registry.grid[slots].astype(np.int64), registry.details.place[slots].astype(np.int64)
    _, first, member = np.unique(grid * (place.max(initial=0) + 1) + place, return_index=True, return_inverse=True)
    order = np.argsort(member, kind="stable")
    ends = np.cumsum(np.bincount(member, minlength=len(first)))
    found: dict[object, tuple[Spot, list[tuple[int, int]]]] = {}
    for n, one in enumerate(first):
        spot = spot_of(registry, registry.ids[slots[one]])
        above = {p.code for p in (*path_of(registry, spot.grid), *path_of(registry, spot.place)) if p.level in LADDER}
        begin = int(ends[n - 1]) if n else 0
        found.setdefault((spot.station, spot.grid, frozenset(above)), (spot, []))[1].append((begin, int(ends[n])))
    return [
        _Group(
            spot=spot,
            devices=sum(end - begin for begin, end in parts),
            examples=tuple(
                registry.ids[slots[order[k]]] for begin, end in parts for k in range(begin, min(end, begin + 2))
            )[:SHOWN_DEVICES],
        )
        for spot, parts in found.values()
    ]
