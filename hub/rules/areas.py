"""Which room, unit, building, grid … each device lies in, as numbers by slot: for rules that look beyond one device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.registry.snapshot import Registry

LEVELS = ("device", "room", "unit", "building", "grid", "compound", "community", "street")


class Areas:
    """Areas of one registry; each level is worked out when it is first asked for."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._levels: dict[str, tuple[NDArray[np.int32], dict[str, int], list[str]]] = {}
        self._members: dict[str, tuple[NDArray[np.int64], NDArray[np.int32]]] = {}

    def of(self, level: str) -> NDArray[np.int32]:
        """By slot: number of the area that the device lies in, -1 where it lies in none of that level."""
        return self._level(level)[0]

    def name(self, level: str, number: int) -> str:
        """Place code (device id for level "device") of an area."""
        return self._level(level)[2][number]

    def number(self, level: str, name: str) -> int:
        return self._level(level)[1].get(name, -1)

    def slots(self, level: str, number: int) -> NDArray[np.int64]:
        """Devices of an area, ascending."""
        if level not in self._members:
            codes = self.of(level)
            order = np.argsort(codes, kind="stable")
            self._members[level] = (order, codes[order])
        order, codes = self._members[level]
        begin, end = np.searchsorted(codes, [number, number + 1])
        return order[begin:end]

    def _level(self, level: str) -> tuple[NDArray[np.int32], dict[str, int], list[str]]:
        found = self._levels.get(level)
        if found is None:
            found = self._levels[level] = self._work_out(level)
        return found

    def _work_out(self, level: str) -> tuple[NDArray[np.int32], dict[str, int], list[str]]:
        registry = self.registry
        if level == "device":
            ids = registry.ids
            own = np.arange(len(ids), dtype=np.int32)
            return np.where(registry.active, own, -1).astype(np.int32), registry.slot_of, ids
        names: list[str] = []
        numbers: dict[str, int] = {}

        def number(code: str) -> int:
            for place in registry.path(code):
                if place.level == level:
                    if place.code not in numbers:
                        numbers[place.code] = len(names)
                        names.append(place.code)
                    return numbers[place.code]
            return -1

        by_place = np.array([*(number(code) for code in registry.details.place_codes), -1], np.int32)
        by_grid = np.array([*(number(code) for code in registry.grids), -1], np.int32)
        codes = by_place[registry.details.place]
        codes = np.where(codes >= 0, codes, by_grid[registry.grid])
        return np.where(registry.active, codes, -1).astype(np.int32), numbers, names
