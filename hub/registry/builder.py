"""Puts a registry together, device by device, giving every known id the slot that it had before."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hub.errors import Complaint
from hub.model.places import Device, Person, Place, Station
from hub.registry.kinds import CANARY, SILENCE_LIMIT_MS
from hub.registry.rosterfile import with_leave
from hub.registry.snapshot import Details, Geometry, Registry, Texts, building_of, kept_order

T = TypeVar("T")
_NAN = float("nan")
_ROW = (
    "slot", "kind", "grid", "building", "name", "place", "model", "tag_set", "supervision", "interval_ms", "silence_ms", "canary",
)  # fmt: skip


class _Numbers(dict[T, int]):
    """Numbers things in the order of their first appearance."""

    def of(self, thing: T) -> int:
        number = self.get(thing)
        if number is None:
            number = self[thing] = len(self)
        return number


class Builder:
    """Collects devices into columns. Trusts what it is given; only a second use of an id or address is refused (ValueError)."""

    def __init__(
        self,
        *,
        places: Iterable[Place] = (),
        people: Iterable[Person] = (),
        stations: Iterable[Station] = (),
        outlines: Mapping[str, Geometry] | None = None,
        previous: Registry | None = None,
    ) -> None:
        self.places = {place.code: place for place in places}
        self.people = {person.id: person for person in people}
        self.stations = {station.id: with_leave(station, self.people) for station in stations}
        self._outlines = dict(outlines or {})
        self._before = _slots_before(previous)
        n = len(previous) if previous is not None else 0
        grids = (place.code for place in self.places.values() if place.level == "grid")
        self._kinds = _numbers(previous.kinds if previous else ())
        self._grids = _numbers(kept_order(previous.grids if previous else (), grids))
        self._buildings = _numbers(previous.buildings if previous else ())
        self._building_of: dict[str, int] = {}
        self._ids = [""] * n
        self._slot_of: dict[str, int] = {}
        self._slot_of_address: dict[str, int] = {}
        self._parents: dict[int, str] = {}
        self._addresses: list[str | tuple[str, ...]] = [()] * n
        self._names: _Numbers[tuple[str, str]] = _Numbers()
        self._place_codes: _Numbers[str] = _Numbers()
        self._models: _Numbers[str] = _Numbers()
        self._tag_sets: _Numbers[tuple[str, ...]] = _Numbers()
        self._supervisions = {name: n for n, name in enumerate(SILENCE_LIMIT_MS)}
        self._rows = array("q")  # _ROW for each device
        self._degrees = array("d")  # latitude and longitude of each device

    def add(self, device: Device) -> int:
        """Takes `device` in and returns its slot."""
        device_id = device.id
        if device_id in self._slot_of:
            raise ValueError(f"device id {device_id!r} is used twice")
        for address in device.addresses:
            if address in self._slot_of_address:
                raise ValueError(f"address {address!r} is used twice")
        addresses = device.addresses[0] if len(device.addresses) == 1 else device.addresses
        slot = self._before.get(device_id, -1)
        if slot < 0:
            slot = len(self._ids)
            self._ids.append(device_id)
            self._addresses.append(addresses)
        else:
            self._ids[slot] = device_id
            self._addresses[slot] = addresses
        self._slot_of[device_id] = slot
        for address in device.addresses:
            self._slot_of_address[address] = slot
        if device.parent:
            self._parents[slot] = device.parent
        name = device.name
        self._rows.extend(
            (
                slot,
                self._kinds.of(device.kind),
                self._grids.of(device.grid) if device.grid else -1,
                self._building_number(device.place),
                self._names.of((name.zh, name.en)),
                self._place_codes.of(device.place),
                self._models.of(device.model),
                self._tag_sets.of(device.tags),
                self._supervisions[device.supervision],
                round(device.expected_interval_s * 1_000),
                SILENCE_LIMIT_MS[device.supervision],
                CANARY in device.tags,
            )
        )
        self._degrees.extend((_NAN if device.lat is None else device.lat, _NAN if device.lon is None else device.lon))
        return slot

    def build(self, version: str | None = None, *, warnings: tuple[Complaint, ...] = ()) -> Registry:
        """The registry of what was added. Without `version` it is a hash of the content."""
        n = len(self._ids)
        rows = np.array(self._rows, np.int64).reshape(-1, len(_ROW))
        degrees = np.array(self._degrees, np.float64).reshape(-1, 2)
        slots = rows[:, 0]

        def column(name: str, dtype: type[Any], empty: int = -1) -> NDArray[Any]:
            values = np.full(n, empty, dtype)
            values[slots] = rows[:, _ROW.index(name)]
            return values

        parent, lat, lon = np.full(n, -1, np.int32), np.full(n, _NAN), np.full(n, _NAN)
        for slot, name in self._parents.items():
            parent[slot] = self._slot_of.get(name, -1)
        lat[slots], lon[slots] = degrees[:, 0], degrees[:, 1]
        active = np.zeros(n, np.bool_)
        active[slots] = True
        details = Details(
            addresses=self._addresses,
            name=column("name", np.int32),
            names_zh=Texts(zh for zh, _ in self._names),
            names_en=Texts(en for _, en in self._names),
            place=column("place", np.int32),
            place_codes=tuple(self._place_codes),
            model=column("model", np.int32),
            models=tuple(self._models),
            supervision=column("supervision", np.int8),
            supervisions=tuple(self._supervisions),
            tag_set=column("tag_set", np.int32),
            tag_sets=tuple(self._tag_sets),
            lat=lat,
            lon=lon,
        )
        registry = Registry(
            version=version or "",
            ids=self._ids,
            slot_of=self._slot_of,
            slot_of_address=self._slot_of_address,
            retired={name: slot for name, slot in self._before.items() if name not in self._slot_of},
            kinds=tuple(self._kinds),
            kind=column("kind", np.int16),
            grids=tuple(self._grids),
            grid=column("grid", np.int32),
            buildings=tuple(self._buildings),
            building=column("building", np.int32),
            parent=parent,
            expected_interval_ms=column("interval_ms", np.int64, 0),
            silence_limit_ms=column("silence_ms", np.int64, 0),
            active=active,
            canary=column("canary", np.bool_, 0),
            details=details,
            places=self.places,
            people=self.people,
            stations=self.stations,
            station_of_grid={grid: station.id for station in self.stations.values() for grid in station.grids},
            outlines=self._outlines,
            warnings=warnings,
        )
        for values in _columns(registry):
            values.flags.writeable = False
        if version is None:
            object.__setattr__(registry, "version", _content_hash(registry))
        return registry

    def _building_number(self, place: str) -> int:
        number = self._building_of.get(place)
        if number is None:
            code = building_of(self.places, place)
            number = self._building_of[place] = self._buildings.of(code) if code else -1
        return number


def _numbers(names: Iterable[str]) -> _Numbers[str]:
    numbers: _Numbers[str] = _Numbers()
    for name in names:
        numbers.of(name)
    return numbers


def _slots_before(previous: Registry | None) -> dict[str, int]:
    return {} if previous is None else {**previous.retired, **previous.slot_of}


def _columns(registry: Registry) -> Iterable[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    for holder in (registry, registry.details):
        for name in holder.__slots__:
            column = getattr(holder, name)
            if isinstance(column, np.ndarray):
                yield column


def _content_hash(registry: Registry) -> str:
    content = blake2b(digest_size=16)
    for part in (registry.places, registry.people, registry.stations, registry.outlines):
        content.update(repr(part).encode())
    for device_id in sorted(registry.slot_of):
        content.update(repr(replace(registry.device(registry.slot_of[device_id]), slot=0)).encode())
    return content.hexdigest()
