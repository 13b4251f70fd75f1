"""The registry as an immutable snapshot: who hangs where, in columns indexed by the device's slot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.errors import Complaint
from hub.model.places import Device, Name, Person, Place, Station

Geometry = Mapping[str, Any]
"""A GeoJSON geometry, Polygon or MultiPolygon, positions as [lon, lat]."""


class Texts:
    """Strings by number, kept as one UTF-8 block: a fraction of the memory of as many `str` objects."""

    __slots__ = ("_block", "_ends")

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode() for text in texts]
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self._block = b"".join(encoded)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, n: int) -> str:
        return self._block[self._ends[n] : self._ends[n + 1]].decode()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Details:
    """What is rarely asked of a device, by slot; each `*_texts` is shared by all slots that say the same."""

    addresses: list[str | tuple[str, ...]]  # the string itself when there is one address
    name: NDArray[np.int32]
    names_zh: Texts
    names_en: Texts
    place: NDArray[np.int32]
    place_codes: tuple[str, ...]
    model: NDArray[np.int32]
    models: tuple[str, ...]
    supervision: NDArray[np.int8]
    supervisions: tuple[str, ...]
    tag_set: NDArray[np.int32]
    tag_sets: tuple[tuple[str, ...], ...]
    lat: NDArray[np.float64]  # NaN = not given
    lon: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registry:
    """Everything known about places, people, stations and devices. Never changes; a reload makes another one.

    A device keeps its slot over reloads. A removed device leaves a retired slot (`ids[slot] == ""`, kind, grid and building
    -1, not active), which only the same id gets back. Positions in `kinds`, `grids` and `buildings` are kept too.
    """

    version: str  # hash of the content it was made from
    ids: list[str]  # by slot
    slot_of: dict[str, int]
    slot_of_address: dict[str, int]  # Decoded.address → slot
    retired: dict[str, int]  # removed id → its slot
    kinds: tuple[str, ...]
    kind: NDArray[np.int16]
    grids: tuple[str, ...]
    grid: NDArray[np.int32]
    buildings: tuple[str, ...]
    building: NDArray[np.int32]
    parent: NDArray[np.int32]  # slot of the gateway, -1 none
    expected_interval_ms: NDArray[np.int64]  # 0 = unknown
    silence_limit_ms: NDArray[np.int64]  # 0 = not supervised
    active: NDArray[np.bool_]
    canary: NDArray[np.bool_]
    details: Details
    places: dict[str, Place]
    people: dict[str, Person]
    stations: dict[str, Station]
    station_of_grid: dict[str, str]
    outlines: dict[str, Geometry]
    warnings: tuple[Complaint, ...] = ()  # gaps that do not hinder loading, e.g. a shift of two people

    @staticmethod
    def of(
        devices: Iterable[Device] = (),
        *,
        places: Iterable[Place] = (),
        people: Iterable[Person] = (),
        stations: Iterable[Station] = (),
        outlines: Mapping[str, Geometry] | None = None,
        previous: Registry | None = None,
        version: str | None = None,
    ) -> Registry:
        """A registry from values that are right already (`loader.load` is the one that doubts). `Device.slot` is ignored."""
        from hub.registry.builder import Builder

        builder = Builder(places=places, people=people, stations=stations, outlines=outlines or {}, previous=previous)
        for device in devices:
            builder.add(device)
        return builder.build(version)

    def __len__(self) -> int:
        """Number of slots, retired ones included."""
        return len(self.ids)

    def device(self, slot: int) -> Device:
        """The device in `slot`. KeyError when the slot is retired or was never given out."""
        if not 0 <= slot < len(self.ids) or not self.ids[slot]:
            raise KeyError(slot)
        more = self.details
        addresses = more.addresses[slot]
        name = int(more.name[slot])
        parent = int(self.parent[slot])
        lat, lon = self.position(slot)
        return Device(
            slot=slot,
            id=self.ids[slot],
            kind=self.kinds[self.kind[slot]],
            name=Name(zh=more.names_zh[name], en=more.names_en[name]),
            place=more.place_codes[more.place[slot]],
            grid=self.grid_code(slot),
            addresses=(addresses,) if isinstance(addresses, str) else addresses,
            parent=self.ids[parent] if parent >= 0 else "",
            model=more.models[more.model[slot]],
            expected_interval_s=int(self.expected_interval_ms[slot]) / 1_000,
            supervision=more.supervisions[more.supervision[slot]],
            tags=more.tag_sets[more.tag_set[slot]],
            lat=lat,
            lon=lon,
        )

    def find(self, device_id: str) -> Device | None:
        slot = self.slot_of.get(device_id)
        return None if slot is None else self.device(slot)

    def devices(self) -> Iterator[Device]:
        """Every device there is now, by slot."""
        return (self.device(slot) for slot, device_id in enumerate(self.ids) if device_id)

    def own_text(self, address: str) -> str:
        """The registry's own copy of `address`, for those who keep many; `address` itself when no device has it."""
        slot = self.slot_of_address.get(address)
        if slot is None:
            return address
        kept = self.details.addresses[slot]
        return kept if isinstance(kept, str) else next(one for one in kept if one == address)

    def children(self, slot: int) -> NDArray[np.int64]:
        """Slots of the devices that speak through the device in `slot`."""
        return np.flatnonzero(self.parent == slot)

    def position(self, slot: int) -> tuple[float, float] | tuple[None, None]:
        """Latitude and longitude of the device, else of the nearest place above it that has them."""
        lat, lon = float(self.details.lat[slot]), float(self.details.lon[slot])
        if lat == lat and lon == lon:
            return lat, lon
        if not self.ids[slot]:
            return None, None
        for place in reversed(self.path(self.details.place_codes[self.details.place[slot]])):
            if place.lat is not None and place.lon is not None:
                return place.lat, place.lon
        return None, None

    def path(self, place_code: str) -> tuple[Place, ...]:
        """The places from the root of the tree down to `place_code`; empty when there is no such place."""
        found: list[Place] = []
        code = place_code
        while (place := self.places.get(code)) is not None and place not in found:
            found.append(place)
            code = place.parent
        return tuple(reversed(found))

    def grid_code(self, slot: int) -> str:
        """Code of the grid that the device in `slot` belongs to, "" when the slot is retired."""
        grid = int(self.grid[slot])
        return self.grids[grid] if grid >= 0 else ""

    def station_for(self, grid_code: str) -> Station | None:
        """The station that serves `grid_code`."""
        return self.stations.get(self.station_of_grid.get(grid_code, ""))


def building_of(places: Mapping[str, Place], code: str) -> str:
    """Code of the building that `code` is or lies in, "" when it lies in none."""
    for _ in range(len(places) + 1):
        place = places.get(code)
        if place is None:
            return ""
        if place.level == "building":
            return code
        code = place.parent
    return ""


def kept_order(before: Sequence[str], now: Iterable[str]) -> list[str]:
    """`before` as it was, then what is new in `now`, in its order."""
    known = set(before)
    return [*before, *dict.fromkeys(code for code in now if code not in known)]
