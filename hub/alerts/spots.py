"""Where a report or work order belongs: the grid, the place in it, and the station that serves it, from the registry."""

from __future__ import annotations

from hub.alerts.work_orders import Spot
from hub.registry.snapshot import Registry


def grid_named(registry: Registry, said: str) -> Spot | None:
    """The one grid whose code or name is `said`; None when there is none, or more than one of that name."""
    wanted = said.strip()
    place = registry.places.get(wanted)
    if place is None or place.level != "grid":
        named = [p for p in registry.places.values() if p.level == "grid" and wanted in (p.name.zh, p.name.en)]
        place = named[0] if len(named) == 1 else None
    return None if place is None else spot_at(registry, place.code)


def spot_at(registry: Registry, code: str) -> Spot | None:
    """The spot of a place of the registry; None when it is not known, or lies in no grid."""
    path = registry.path(code)
    grid = next((place for place in reversed(path) if place.level == "grid"), None)
    if not path or grid is None:
        return None
    station = registry.station_for(grid.code)
    named = path[-1].name
    return Spot(grid=grid.code, station=station.id if station else "", name_zh=named.zh, name_en=named.en)
