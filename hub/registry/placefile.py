"""places.yaml: the tree from the street down to the unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from sys import intern
from typing import Final

from pydantic import Field, model_validator

from hub.documents import Document, Path_, Strict
from hub.model.places import Level, Name, Person, Place
from hub.registry.findings import Findings, Id, Latitude, Longitude, Text, Words

PARENT_LEVELS: Final[dict[Level, tuple[Level, ...]]] = {
    "street": (),
    "community": ("street",),
    "compound": ("community",),
    "grid": ("compound", "community"),  # a dedicated grid stands beside the compounds
    "micro_grid": ("grid",),
    "building": ("compound", "grid", "micro_grid", "community"),
    "unit": ("building",),
    "room": ("unit", "building"),
}
DIGITS: Final[dict[Level, int]] = {"street": 9, "community": 12, "grid": 15, "micro_grid": 17}
"""Levels whose code is digits only: county 6 + street 3 + community 3 + grid 3 + micro-grid 2."""
WITH_RESPONSIBLE: Final[tuple[Level, ...]] = ("street", "community", "compound", "grid")


class PlaceEntry(Strict):
    """One place. `units: 3` on a building also makes its units <code>-u1 … <code>-u3."""

    code: Id
    level: Level
    name: Words
    parent: Text = ""
    dedicated: bool = False
    responsible: Text = ""
    lat: Latitude | None = None
    lon: Longitude | None = None
    units: int = Field(0, ge=0, le=99)

    @model_validator(mode="after")
    def _whole(self) -> PlaceEntry:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon go together")
        if self.dedicated and self.level != "grid":
            raise ValueError("only a grid can be dedicated")
        if self.units and self.level != "building":
            raise ValueError("only a building has units")
        return self


def read_places(
    text: str, file: str, people: Mapping[str, Person] | None, findings: Findings
) -> dict[str, Place] | None:
    """The places of places.yaml by code; None when the file cannot be read at all. `people` None = not known."""
    document = findings.document(text, file, "places")
    return None if document is None else _Tree(document, people, findings).places


class _Tree:
    def __init__(self, document: Document, people: Mapping[str, Person] | None, findings: Findings) -> None:
        self.places: dict[str, Place] = {}
        self._at: dict[str, Path_] = {}
        self._names: dict[tuple[str, str], Name] = {}
        self._document, self._findings = document, findings
        for at, entry in findings.entries(document, "places", PlaceEntry):
            self._take(at, entry)
        for code, at in self._at.items():
            self._check_parent(self.places[code], at)
            self._check_responsible(self.places[code], at, people)

    def _complain(self, path: Path_, message: str, remedy: str) -> None:
        self._findings.complaints.append(self._document.complain(path, message, remedy))

    def _check_responsible(self, place: Place, at: Path_, people: Mapping[str, Person] | None) -> None:
        if place.responsible:
            if people is not None and self._findings.is_lost(place.responsible, people):
                remedy = self._findings.near(place.responsible, people, "add the person to people.yaml")
                self._complain((*at, "responsible"), f"nobody is called '{place.responsible}'", remedy)
        elif place.level in WITH_RESPONSIBLE:
            self._findings.warnings.append(
                self._document.complain(at, f"{place.level} '{place.code}' has nobody responsible", "add 'responsible'")
            )

    def _name(self, words: Words) -> Name:
        """One Name for all places that are called the same: every compound has a Building 1."""
        return self._names.setdefault((words.zh, words.en), words.name())

    def _take(self, at: Path_, entry: PlaceEntry) -> None:
        names = [(entry.code, entry.level, intern(entry.parent), self._name(entry.name))]
        for n in range(1, entry.units + 1):
            names.append((f"{entry.code}-u{n}", "unit", entry.code, self._name(Words(zh=f"{n}单元", en=f"Unit {n}"))))
        for code, level, parent, name in names:
            if code in self.places:
                building = code.rpartition("-")[0]  # an implied unit stands where its building does
                first = self._document.line(self._at.get(code) or self._at.get(building, at))
                self._complain(
                    (*at, "code"),
                    f"code '{code}' is used twice",
                    f"give it another code (the first is at line {first})",
                )
                continue
            own = code == entry.code
            self.places[code] = Place(
                code=code,
                level=level,
                name=name,
                parent=parent,
                dedicated=own and entry.dedicated,
                responsible=entry.responsible if own else "",
                lat=entry.lat if own else None,
                lon=entry.lon if own else None,
            )
            if own:
                self._at[code] = at

    def _check_parent(self, place: Place, at: Path_) -> None:
        levels = PARENT_LEVELS[place.level]
        parent = self.places.get(place.parent)
        if not levels:
            if place.parent:
                self._complain((*at, "parent"), f"a {place.level} has no parent", "remove 'parent'")
        elif not place.parent:
            self._complain(at, f"{place.level} '{place.code}' has no parent", "add 'parent'")
            return
        elif parent is None:
            if self._findings.is_lost(place.parent, self.places):
                remedy = self._findings.near(place.parent, self.places, "add that place, or correct the code")
                self._complain((*at, "parent"), f"no place '{place.parent}'", remedy)
            return
        elif parent.level not in levels:
            self._complain(
                (*at, "parent"),
                f"a {place.level} cannot stand under a {parent.level}",
                f"its parent is a {' or '.join(levels)}",
            )
            return
        wanted = self._wanted_code(place)
        if wanted is not None and not re.fullmatch(wanted[0], place.code):
            self._complain((*at, "code"), f"'{place.code}' does not fit its place in the tree", wanted[1])

    def _wanted_code(self, place: Place) -> tuple[str, str] | None:
        """Pattern and wording of the codes that may stand at `place`; None when that hangs on a parent that is wrong itself."""
        digits = DIGITS.get(place.level)
        if digits is None:
            return rf"{re.escape(place.parent)}-[A-Za-z0-9]+", f"use '{place.parent}-' and letters or digits"
        prefix, above = "", self.places.get(place.parent)
        while above is not None and above.level not in DIGITS:
            above = self.places.get(above.parent)
        if above is not None:
            prefix = above.code
            if len(prefix) != DIGITS[above.level] or not prefix.isdigit():
                return None
        elif place.level != "street":
            return None
        more = digits - len(prefix)
        start = f"'{prefix}' and {more} more digits" if prefix else f"{digits} digits"
        return rf"{prefix}[0-9]{{{more}}}", f"use {start}"
