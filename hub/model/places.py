"""Places, stations and people. Codes are strings with prefix roll-up; see docs/glossary.md for the ladder of levels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Level = Literal["street", "community", "compound", "grid", "micro_grid", "building", "unit", "room"]
LADDER: tuple[Level, ...] = ("street", "community", "compound", "grid", "micro_grid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name in both languages."""

    zh: str
    en: str

    def in_(self, locale: str) -> str:
        return self.en if locale == "en" else self.zh


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node of the place tree. `code` is unique; `parent` is "" at the root. Grids may be dedicated (专属网格)."""

    code: str
    level: Level
    name: Name
    parent: str = ""
    dedicated: bool = False
    responsible: str = ""  # person id
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Days (and hours) on which somebody is away: [`start`, `end`) in minutes of the wall clock, see `wall_minute`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who can be told. `contacts`: channel name → address; `verified` lists the channels proven to reach them.

    While they are on `leave` their `deputy` (a person id) is told in their stead.
    """

    id: str
    name: Name
    role: str
    phone: str = field(default="", repr=False)
    contacts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    verified: tuple[str, ...] = ()
    locale: str = "zh-CN"
    leave: tuple[Leave, ...] = ()
    deputy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """People on duty from `start` to `end`, minutes after local midnight (end <= start runs over midnight), on `days` (0 = Monday)."""

    people: tuple[str, ...]
    start_min: int
    end_min: int
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """`incoming` stands in for `outgoing` in the shift that begins on day `day` (proleptic ordinal); at `start_min`, None = in all."""

    day: int
    outgoing: str
    incoming: str
    start_min: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A micro fire station (微型消防站): serves grids, has ordered mutual-aid backups, a roster, and channels of its own.

    Without `backups` the others help in the order of their distance. `away` is the leave of those in its roster; the registry
    fills it in.
    """

    id: str
    name: Name
    grids: tuple[str, ...]
    backups: tuple[str, ...] = ()
    head: str = ""
    members: tuple[str, ...] = ()
    roster: tuple[Shift, ...] = ()
    swaps: tuple[Swap, ...] = ()
    away: tuple[tuple[str, Leave], ...] = ()
    contacts: tuple[tuple[str, str], ...] = field(
        default=(), repr=False
    )  # channel → address of the station itself (webhook, siren topic)
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device of the registry. `slot` is dense and stable for the life of the registry, across reloads."""

    slot: int
    id: str
    kind: str
    name: Name
    place: str  # code of the finest place
    grid: str
    addresses: tuple[str, ...]  # Decoded.address values that mean this device
    parent: str = ""  # gateway device id
    model: str = ""
    expected_interval_s: float = 0.0
    supervision: str = "radio"  # mains | radio | nbiot | none
    tags: tuple[str, ...] = ()
    lat: float | None = None
    lon: float | None = None
