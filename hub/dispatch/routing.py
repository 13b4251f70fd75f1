"""From a device to the people who must hear about it: device → grid → station → on duty now → contacts. Pure.

What is missing on the way is said as text beside the answer (a *gap*), never raised and never silently skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import cos, hypot, radians
from typing import Literal, get_args

from hub.dispatch.asked import station_in
from hub.dispatch.roster import NORM_ON_DUTY, is_away, on_duty
from hub.model.places import Level, Name, Person, Place, Station
from hub.registry.snapshot import Registry
from hub.stores.contact_checks import digest

Tell = Literal[
    "station", "grid", "compound", "community", "street", "backup_station", "backup_stations", "maintainer", "anyone"
]  # fmt: skip
"""A group of recipients. A station means the station itself and its crew on duty; a level its responsible person (网格长);
the maintainer everybody with that role."""
TELLS: tuple[Tell, ...] = get_args(Tell)

OUTSIDE: tuple[Level, ...] = ("street", "community")
"""Levels above the compound: left out of a place's short name, for the crew knows its own streets."""

MOST_AID = 5
"""How many of the nearest stations help where a station names none."""
HUB_DEVICE = "hub"
CONSOLE = "console"
NOBODY = "hub"
"""Recipient of a console delivery where no station is responsible."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How this hub can tell somebody: its channels, and for those whose receivers have names (webhook) the names it knows."""

    channels: frozenset[str]
    targets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    proven: frozenset[tuple[str, str, str]] = frozenset()  # (person, channel, digest of address): a test was answered

    def lead_to(self, channel: str, target: str) -> bool:
        return channel in self.channels and target in self.targets.get(channel, (target,))

    def only(self, channels: Collection[str]) -> Ways:
        return replace(self, channels=self.channels & frozenset(channels))

    @property
    def away(self) -> bool:
        """Whether they reach people away from the console."""
        return bool(self.channels - {CONSOLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A station or a person, with its usable contacts (channel, address), the best first."""

    id: str
    name: Name
    contacts: tuple[tuple[str, str], ...] = field(repr=False)
    locale: str
    is_station: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """Recipients in the order in which they are told, each once, and what was missing."""

    recipients: tuple[Recipient, ...] = ()
    gaps: tuple[str, ...] = ()

    def __add__(self, other: Reached) -> Reached:
        """Both, in order; a recipient of both keeps its place and has the contacts of both."""
        merged = {recipient.id: recipient for recipient in self.recipients}
        for more in other.recipients:
            before = merged.get(more.id)
            if before is not None and before.contacts != more.contacts:
                more = replace(before, contacts=tuple(dict.fromkeys((*before.contacts, *more.contacts))))
            merged[more.id] = more
        return Reached(tuple(merged.values()), tuple(dict.fromkeys((*self.gaps, *other.gaps))))

    @property
    def somebody(self) -> bool:
        """Whether at least one of them can be told away from the console."""
        return any(channel != CONSOLE for r in self.recipients for channel, _ in r.contacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where an alert happens: the codes that routing starts from."""

    place: str
    grid: str
    station: str  # "" when no station serves the grid


def spot_of(registry: Registry, device_id: str) -> Spot:
    """The spot of `device_id`; of the hub itself when the registry does not know the device (any more)."""
    asked = registry.stations.get(station_in(device_id))
    if asked is not None and asked.grids:
        return Spot(place=asked.grids[0], grid=asked.grids[0], station=asked.id)
    device = registry.find(device_id) or registry.find(HUB_DEVICE)
    if device is None:
        return Spot(place="", grid="", station="")
    grid = device.grid or _grid_above(registry, device.place)
    station = registry.station_for(grid)
    return Spot(place=device.place or grid, grid=grid, station=station.id if station else "")


def path_of(registry: Registry, code: str) -> tuple[Place, ...]:
    """The places from the root down to `code`; for a code that is not there, to the longest known code that it begins with."""
    path = registry.path(code) if code else ()
    end = len(code)
    while not path and end > 6:
        end -= 1
        path = registry.path(code[:end])
    return path


def place_text(registry: Registry, code: str) -> Name:
    """The place as a crew says it, from the compound down, e.g. 幸福里 3 栋 2 单元; the whole path where there is no compound."""
    path = path_of(registry, code)
    short = tuple(p for p in path if p.level not in OUTSIDE) or path[-1:]
    if not short:
        return Name(zh=code, en=code)
    return Name(zh=" ".join(p.name.zh for p in short), en=", ".join(p.name.en for p in short))


def contacts_of(person: Person, ways: Ways) -> tuple[tuple[str, str], ...]:
    """The usable contacts of `person`: verified ones first, else in the order of the registry.

    Not the console: what a person sees there is the console of the station.
    """
    usable = [contact for contact in person.contacts if contact[0] != CONSOLE and ways.lead_to(*contact)]
    return tuple(sorted(usable, key=lambda contact: not _proven(person, contact, ways)))


def is_verified(registry: Registry, person_id: str, contact: tuple[str, str], ways: Ways) -> bool:
    """Whether `contact` was proven to reach the person: said in the registry, or a test sent to it was answered."""
    person = registry.people.get(person_id)
    return person is not None and _proven(person, contact, ways)


def _proven(person: Person, contact: tuple[str, str], ways: Ways) -> bool:
    if contact[0] in person.verified:
        return True
    return bool(ways.proven) and (person.id, contact[0], digest(contact[1])) in ways.proven


def station_of(registry: Registry, spot: Spot) -> Station | None:
    """The station that was responsible when the alert was raised, else the one that serves the grid now."""
    return registry.stations.get(spot.station) or registry.station_for(spot.grid)


def console_of(registry: Registry, spot: Spot, locale: str) -> Recipient:
    """The console of the responsible station, of the hub itself where there is none."""
    station = station_of(registry, spot)
    return Recipient(
        id=station.id if station else NOBODY,
        name=station.name if station else Name(zh="值班台", en="Duty desk"),
        contacts=((CONSOLE, ""),),
        locale=locale,
        is_station=True,
    )


def recipient_of(registry: Registry, recipient: str, ways: Ways, locale: str) -> Recipient | None:
    """The station or person with id `recipient`, with its usable contacts."""
    station = registry.stations.get(recipient)
    if station is not None:
        own = dict(station.contacts)
        own.setdefault(CONSOLE, "")
        contacts = tuple(contact for contact in own.items() if ways.lead_to(*contact))
        return Recipient(id=station.id, name=station.name, contacts=contacts, locale=locale, is_station=True)
    person = registry.people.get(recipient)
    if person is None:
        return None
    return Recipient(id=person.id, name=person.name, contacts=contacts_of(person, ways), locale=person.locale)


def reach(registry: Registry, tell: Tell, spot: Spot, at_ms: int, zone: str, *, ways: Ways, locale: str) -> Reached:
    """Who is meant by `tell` at `spot` at this moment, over `ways`. `locale` is for stations, people bring their own."""
    match tell:
        case "station":
            station = station_of(registry, spot)
            if station is None:
                return Reached(gaps=(f"no station serves grid {spot.grid or '(none)'}",))
            return _station(registry, station, at_ms, zone, ways, locale)
        case "backup_station" | "backup_stations":
            return _backups(registry, spot, at_ms, zone, ways, locale, first_only=tell == "backup_station")
        case "anyone":
            return _anyone(registry, spot, at_ms, zone, ways, locale)
        case "maintainer":
            ids = tuple(sorted(person.id for person in registry.people.values() if person.role == "maintainer"))
            return people_of(registry, ids, ways) if ids else Reached(gaps=("no person has the role maintainer",))
        case level:
            return _responsible(registry, level, spot, at_ms, zone, ways)


def _station(registry: Registry, station: Station, at_ms: int, zone: str, ways: Ways, locale: str) -> Reached:
    itself = recipient_of(registry, station.id, ways, locale)
    unknown = [contact for contact in station.contacts if contact[0] in ways.channels and not ways.lead_to(*contact)]
    gaps = [f"station {station.id} has a contact that this hub does not know ({_names(unknown)})"] if unknown else []
    crew = on_duty(station, at_ms, zone)
    if not crew:
        gaps.append(f"nobody is on duty at station {station.id}; telling all its members")
        crew = tuple(dict.fromkeys(filter(None, (station.head, *station.members))))
    people = people_of(registry, crew, ways)
    return Reached((*filter(None, (itself,)), *people.recipients), (*gaps, *people.gaps))


def _backups(
    registry: Registry,
    spot: Spot,
    at_ms: int,
    zone: str,
    ways: Ways,
    locale: str,
    *,
    first_only: bool,
) -> Reached:
    station = station_of(registry, spot)
    helping = mutual_aid(registry, station) if station is not None else ()
    if station is None or not helping:
        return Reached(gaps=(f"no backup station for {station.id if station else 'grid ' + (spot.grid or '(none)')}",))
    found = Reached()
    for backup_id in helping:
        backup = registry.stations.get(backup_id)
        if backup is None:
            found += Reached(gaps=(f"backup station {backup_id} does not exist",))
            continue
        found += _station(registry, backup, at_ms, zone, ways, locale)
        if first_only and found.somebody:
            break
    return found


def mutual_aid(registry: Registry, station: Station) -> tuple[str, ...]:
    """Ids of the stations that help `station`, the first one first: as it names them, else those with a position, the nearest first."""
    if station.backups or station.lat is None or station.lon is None:
        return station.backups
    here = (station.lat, station.lon)
    others = [
        (metres(here, (other.lat, other.lon)), other.id)
        for other in registry.stations.values()
        if other.id != station.id and other.lat is not None and other.lon is not None
    ]
    return tuple(other for _, other in sorted(others)[:MOST_AID])


def metres(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Distance between two positions (latitude, longitude), good enough for a town: the earth as a plane."""
    north = (there[0] - here[0]) * 111_195
    east = ((there[1] - here[1] + 180) % 360 - 180) * 111_195 * cos(radians((here[0] + there[0]) / 2))
    return hypot(north, east)


def _responsible(registry: Registry, level: Tell, spot: Spot, at_ms: int, zone: str, ways: Ways) -> Reached:
    levels = ("micro_grid", "grid") if level == "grid" else (level,)
    places = {p.code: p for p in (*path_of(registry, spot.grid), *path_of(registry, spot.place)) if p.level in levels}
    ids = tuple(dict.fromkeys(p.responsible for p in reversed(places.values()) if p.responsible))
    if not ids:
        where = ", ".join(places) or spot.grid or spot.place or "(unknown place)"
        return Reached(gaps=(f"nobody is responsible for {level.replace('_', ' ')} {where}",))
    found = Reached()
    for person_id in ids:
        found += people_of(registry, stand_ins(registry, person_id, at_ms, zone), ways) + _on_leave(
            registry, person_id, at_ms, zone
        )
    return found


def stand_ins(registry: Registry, person_id: str, at_ms: int, zone: str) -> tuple[str, ...]:
    """Who is told when `person_id` should be: while they are on leave their deputy, and so on; nobody else there = they themselves."""
    chain = [person_id]
    while (person := registry.people.get(chain[-1])) is not None and is_away(person, at_ms, zone):
        if not person.deputy or person.deputy in chain:
            return (person_id,)  # better woken on leave than nobody
        chain.append(person.deputy)
    return (chain[-1],)


def _on_leave(registry: Registry, person_id: str, at_ms: int, zone: str) -> Reached:
    person = registry.people.get(person_id)
    if (
        person is None
        or not is_away(person, at_ms, zone)
        or stand_ins(registry, person_id, at_ms, zone) != (person_id,)
    ):
        return Reached()
    return Reached(gaps=(f"person {person_id} is on leave and has no deputy",))


def _anyone(registry: Registry, spot: Spot, at_ms: int, zone: str, ways: Ways, locale: str) -> Reached:
    """The last resort: the nearest other station with anybody reachable, else everybody with a contact."""
    for station in sorted(registry.stations.values(), key=lambda s: (-_nearness(s, spot.grid), s.id)):
        found = _station(registry, station, at_ms, zone, ways, locale)
        if found.somebody:
            return Reached(found.recipients, (f"no responsible person can be reached; telling station {station.id}",))
    found = people_of(registry, tuple(sorted(registry.people)), ways)
    said = "no responsible person can be reached; telling everybody who has a contact"
    return Reached(found.recipients, (said,) if found.somebody else ("nobody at all can be reached",))


def _nearness(station: Station, grid: str) -> int:
    """How many leading digits of its code `grid` shares with the nearest grid of `station`: codes roll up by prefix."""
    return max(
        (
            sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(grid, other, strict=False)))
            for other in station.grids
        ),
        default=0,
    )


def people_of(registry: Registry, ids: tuple[str, ...], ways: Ways) -> Reached:
    """These people with their usable contacts, and why others have none. Who only has a console is neither: that is the station's."""
    if not ways.away:
        return Reached()  # a console belongs to a station; nobody misses a call that was not meant for people
    recipients, gaps = [], []
    for person_id in ids:
        person = registry.people.get(person_id)
        if person is None:
            gaps.append(f"person {person_id} does not exist")
        elif contacts := contacts_of(person, ways):
            recipients.append(Recipient(id=person.id, name=person.name, contacts=contacts, locale=person.locale))
        elif any(contact[0] == CONSOLE for contact in person.contacts):
            continue  # looks at the console of the station, which is told by itself
        elif not person.contacts:
            gaps.append(f"person {person_id} has no contact")
        else:
            gaps.append(f"person {person_id} has no contact that this hub can use ({_names(person.contacts)})")
    return Reached(tuple(recipients), tuple(gaps))


def _names(contacts: Iterable[tuple[str, str]]) -> str:
    return ", ".join(sorted(channel for channel, _ in contacts))  # an address may be a phone number: not for the audit


def _grid_above(registry: Registry, place: str) -> str:
    return next((p.code for p in reversed(path_of(registry, place)) if p.level == "grid"), "")


def unmanned(registry: Registry, at_ms: int, zone: str, *, ways: Ways) -> tuple[str, ...]:
    """Grids whose station has nobody on duty now, or nobody who can be told; and grids without a station.

    Whoever looks at the console counts as told where the station has no other way.
    """
    found: list[str] = []
    manned: dict[str, bool] = {}
    for place in registry.places.values():
        if place.level != "grid":
            continue
        station = registry.station_for(place.code)
        if station is not None and station.id not in manned:
            manned[station.id] = _is_manned(registry, station, at_ms, zone, ways)
        if station is None or not manned[station.id]:
            found.append(place.code)
    return tuple(found)


def thin(registry: Registry, at_ms: int, zone: str, *, ways: Ways) -> tuple[str, ...]:
    """Stations with somebody on duty now, but with fewer than the norm who can be told."""
    return tuple(
        station.id
        for station in registry.stations.values()
        if on_duty(station, at_ms, zone) and len(_within_reach(registry, station, at_ms, zone, ways)) < NORM_ON_DUTY
    )


def _is_manned(registry: Registry, station: Station, at_ms: int, zone: str, ways: Ways) -> bool:
    if _within_reach(registry, station, at_ms, zone, ways):
        return True
    own = any(ways.lead_to(*way) for way in station.contacts if way[0] != CONSOLE)
    return own and any(who in registry.people for who in on_duty(station, at_ms, zone))


def _within_reach(registry: Registry, station: Station, at_ms: int, zone: str, ways: Ways) -> list[Person]:
    """Who of those on duty can be told, or looks at the station's console."""
    crew = [registry.people[who] for who in on_duty(station, at_ms, zone) if who in registry.people]
    return [p for p in crew if contacts_of(p, ways) or any(channel == CONSOLE for channel, _ in p.contacts)]
