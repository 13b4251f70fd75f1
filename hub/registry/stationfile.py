"""people.yaml and stations.yaml: who can be told, and which station answers for which grid at what hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from pydantic import Field, model_validator

from hub.documents import Document, Path_, Strict
from hub.errors import Complaint
from hub.model.places import Person, Place, Shift, Station
from hub.registry.findings import Findings, Id, Latitude, Longitude, Text, Words
from hub.registry.rosterfile import DAY_MIN, DAYS, LeaveEntry, ShiftEntry, SwapEntry

ENOUGH_ON_DUTY: Final = 3
"""The norm of community micro fire stations: at least three on duty at any hour."""
Contacts = dict[Id, Text]


class PersonEntry(Strict):
    id: Id
    name: Words
    role: Literal[
        "street_officer", "community_officer", "property", "grid_worker", "station_head", "crew", "maintainer"
    ]
    phone: Text = Field("", pattern=r"^(\+?[0-9][0-9 -]{2,19})?$")
    contacts: Contacts = {}
    verified: tuple[Id, ...] = ()
    locale: Literal["zh-CN", "en"] = "zh-CN"
    leave: tuple[LeaveEntry, ...] = ()
    deputy: Text = ""

    @model_validator(mode="after")
    def _verified_has_address(self) -> PersonEntry:
        for channel in self.verified:
            if channel not in self.contacts:
                raise ValueError(f"channel '{channel}' is verified but not among the contacts")
        return self


class StationEntry(Strict):
    id: Id
    name: Words
    grids: tuple[Text, ...] = Field(min_length=1)
    backups: tuple[Text, ...] = ()
    head: Text = ""
    members: tuple[Text, ...] = ()
    roster: tuple[ShiftEntry, ...] = ()
    swaps: tuple[SwapEntry, ...] = ()
    contacts: Contacts = {}
    lat: Latitude | None = None
    lon: Longitude | None = None


def read_people(text: str, file: str, findings: Findings) -> dict[str, Person] | None:
    """The people of people.yaml by id; None when the file cannot be read at all."""
    document = findings.document(text, file, "people")
    if document is None:
        return None
    people: dict[str, Person] = {}
    found: dict[str, Path_] = {}
    for at, entry in findings.entries(document, "people", PersonEntry):
        if entry.id in people:
            findings.complaints.append(_twice(document, at, found[entry.id], entry.id))
            continue
        found[entry.id] = at
        people[entry.id] = Person(
            id=entry.id,
            name=entry.name.name(),
            role=entry.role,
            phone=entry.phone,
            contacts=tuple(entry.contacts.items()),
            verified=entry.verified,
            locale=entry.locale,
            leave=tuple(leave.leave() for leave in entry.leave),
            deputy=entry.deputy,
        )
    for person, at in found.items():
        deputy = people[person].deputy
        if deputy and (deputy == person or findings.is_lost(deputy, people)):
            remedy = findings.near(deputy, people, "name somebody else of people.yaml")
            what = "nobody can stand in for themselves" if deputy == person else f"nobody is called '{deputy}'"
            findings.complaints.append(document.complain((*at, "deputy"), what, remedy))
    return people


def read_stations(
    text: str, file: str, places: Mapping[str, Place] | None, people: Mapping[str, Person] | None, findings: Findings
) -> dict[str, Station]:
    """The stations of stations.yaml by id; complains about references into nothing and grids without a station.

    `places` and `people` None = not known: what points into them is not checked.
    """
    document = findings.document(text, file, "stations")
    if document is None:
        return {}
    return _Stations(document, places, people, findings).stations


class _Stations:
    def __init__(
        self,
        document: Document,
        places: Mapping[str, Place] | None,
        people: Mapping[str, Person] | None,
        findings: Findings,
    ) -> None:
        self.stations: dict[str, Station] = {}
        self._document, self._people, self._findings = document, people, findings
        self._grids = None if places is None else {c for c, place in places.items() if place.level == "grid"}
        self._served: dict[str, str] = {}
        found: dict[str, Path_] = {}
        for at, entry in findings.entries(document, "stations", StationEntry):
            if entry.id in self.stations:
                findings.complaints.append(_twice(document, at, found[entry.id], entry.id))
                continue
            found[entry.id] = at
            self._check_people(at, entry)
            self._check_grids(at, entry)
            self.stations[entry.id] = _station(entry)
            self._warn_about_gaps(at, self.stations[entry.id])
        for station, at in found.items():
            self._check_backups(at, self.stations[station])
        if len(found) == len(document.data["stations"]):  # else the broken one may be the one that serves them
            for grid in sorted((self._grids or set()) - self._served.keys()):
                self._complain(("stations",), f"no station serves grid '{grid}'", "add it to the grids of a station")

    def _complain(self, path: Path_, message: str, remedy: str) -> None:
        self._findings.complaints.append(self._document.complain(path, message, remedy))

    def _warn(self, path: Path_, message: str, remedy: str) -> None:
        self._findings.warnings.append(self._document.complain(path, message, remedy))

    def _check_grids(self, at: Path_, entry: StationEntry) -> None:
        for n, grid in enumerate(entry.grids):
            path = (*at, "grids", n)
            if self._grids is not None and self._findings.is_lost(grid, self._grids):
                remedy = self._findings.near(grid, self._grids, "correct the code, or add the grid to places.yaml")
                self._complain(path, f"no grid '{grid}'", remedy)
            elif grid in self._served:
                who = self._served[grid]
                self._complain(path, f"grid '{grid}' is served by '{who}' already", "leave it to one station")
            else:
                self._served[grid] = entry.id

    def _check_people(self, at: Path_, entry: StationEntry) -> None:
        named: list[tuple[Path_, str]] = [((*at, "head"), entry.head)] if entry.head else []
        named += [((*at, "members", n), person) for n, person in enumerate(entry.members)]
        for s, shift in enumerate(entry.roster):
            for n, person in enumerate(shift.people):
                path = (*at, "roster", s, "people", n)
                named.append((path, person))
                if person in shift.people[:n]:
                    self._complain(path, f"'{person}' stands twice in this shift", "name each person once")
        for n, swap in enumerate(entry.swaps):
            named += [((*at, "swaps", n, "out"), swap.outgoing), ((*at, "swaps", n, "in"), swap.incoming)]
            if not any(
                swap.outgoing in shift.people
                and swap.start in (None, shift.start)
                and DAYS[swap.on.weekday()] in shift.days
                for shift in entry.roster
            ):
                message = f"'{swap.outgoing}' has no shift to swap on {swap.on}"
                self._complain((*at, "swaps", n), message, "correct the day, the person or 'from'")
        for path, person in named:
            if self._people is not None and self._findings.is_lost(person, self._people):
                remedy = self._findings.near(person, self._people, "add the person to people.yaml")
                self._complain(path, f"nobody is called '{person}'", remedy)

    def _check_backups(self, at: Path_, station: Station) -> None:
        near = station.lat is not None and any(s.lat is not None for s in self.stations.values() if s is not station)
        if not station.backups and not near:
            remedy = "add 'backups' for mutual aid, or the positions of the stations: then the nearest ones help"
            self._warn(at, f"station '{station.id}' has no backup", remedy)
        for n, backup in enumerate(station.backups):
            path = (*at, "backups", n)
            if backup == station.id:
                self._complain(path, "a station cannot back itself", "name another station")
            elif self._findings.is_lost(backup, self.stations):
                remedy = self._findings.near(backup, self.stations, "add the station, or correct the id")
                self._complain(path, f"no station '{backup}'", remedy)
            elif backup in station.backups[:n]:
                self._complain(path, f"'{backup}' stands twice here", "keep the first")

    def _warn_about_gaps(self, at: Path_, station: Station) -> None:
        if not station.contacts:
            self._warn(at, f"station '{station.id}' has no channel of its own", "add 'contacts'")
        where = (*at, "roster") if station.roster else at
        for few, hours in thin_hours(station.roster):
            who = "nobody is" if few == 0 else f"only {few} {'is' if few == 1 else 'are'}"
            self._warn(where, f"{who} on duty at '{station.id}' {hours}", f"the norm is {ENOUGH_ON_DUTY} at any hour")


def _station(entry: StationEntry) -> Station:
    return Station(
        id=entry.id,
        name=entry.name.name(),
        grids=entry.grids,
        backups=entry.backups,
        head=entry.head,
        members=entry.members,
        roster=tuple(shift.shift() for shift in entry.roster),
        swaps=tuple(swap.swap() for swap in entry.swaps),
        contacts=tuple(entry.contacts.items()),
        lat=entry.lat,
        lon=entry.lon,
    )


def thin_hours(roster: Iterable[Shift]) -> tuple[tuple[int, str], ...]:
    """When fewer than three are on duty: (how many, the hours in words), fewest first."""
    number: dict[str, int] = {}
    return _thin_hours(
        tuple(
            (shift.start_min, shift.end_min, shift.days, tuple(number.setdefault(p, len(number)) for p in shift.people))
            for shift in roster
        )
    )


@lru_cache(maxsize=256)
def _thin_hours(
    shifts: tuple[tuple[int, int, tuple[int, ...], tuple[int, ...]], ...],
) -> tuple[tuple[int, str], ...]:
    """As `thin_hours`, with numbers for people: stations of the same pattern are reckoned once."""
    duty = np.zeros((1 + max((p for *_, people in shifts for p in people), default=0), 7 * DAY_MIN), np.bool_)
    for start_min, end_min, days, people in shifts:
        length = (end_min - start_min) % DAY_MIN or DAY_MIN
        for day in days:
            start = day * DAY_MIN + start_min
            minutes = np.arange(start, start + length) % duty.shape[1]
            duty[np.array(people)[:, None], minutes] = True
    week = duty.sum(axis=0)
    found: list[tuple[int, str]] = []
    for few in range(ENOUGH_ON_DUTY):
        windows: dict[tuple[int, int], list[int]] = {}
        for day in range(7):
            thin = (week[day * DAY_MIN : (day + 1) * DAY_MIN] == few).astype(np.int8)
            edges = np.flatnonzero(np.diff(thin, prepend=0, append=0))
            for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                windows.setdefault((start, end), []).append(day)
        found += [(few, f"{_days(days)} {_clock(start)}–{_clock(end)}") for (start, end), days in windows.items()]
    return tuple(found)


def _days(days: list[int]) -> str:
    if len(days) == 7:
        return "every day"
    if len(days) > 2 and days == list(range(days[0], days[-1] + 1)):
        return f"{DAYS[days[0]]}–{DAYS[days[-1]]}"
    return ", ".join(DAYS[day] for day in days)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _twice(document: Document, at: Path_, first: Path_, value: str) -> Complaint:
    line = document.line((*first, "id"))
    return document.complain(
        (*at, "id"), f"'{value}' is used twice", f"give it another id (the first is at line {line})"
    )
