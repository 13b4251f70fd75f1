"""Filters of lists: a misspelt one is refused, because a list that ignores it shows what was not asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request

from hub.api import problems
from hub.api.parts import ApiParts
from hub.api.problems import Wrong
from hub.model.alerts import Actor
from hub.registry.kinds import DEVICE_KINDS
from hub.registry.snapshot import Registry


def known_only(request: Request) -> None:
    """Raises 422 for query parameters that the route does not take."""
    route: Any = request.scope.get("route")
    known = _taken(route.dependant)
    wrong = [
        problems.unknown(f"query.{key}"[:100], key, known)
        for key in dict.fromkeys(request.query_params)
        if key not in known
    ]
    if wrong:
        raise problems.bad_request(wrong)


def _taken(dependant: Any) -> list[str]:
    own = [field.alias for field in dependant.query_params]
    return own + [name for below in dependant.dependencies for name in _taken(below)]


def check(
    parts: ApiParts,
    caller: Actor,
    *,
    grid: str | None = None,
    station: str | None = None,
    device: str | None = None,
    kind: str | None = None,
    stored: bool = False,
) -> None:
    """Raises 422 when a filter names what does not exist: not in the registry nor, with `stored`, in any alert seen by `caller`.

    A device that the caller may not see is treated like one that does not exist.
    """
    registry = parts.registry()

    def in_alerts(**by: str) -> bool:
        return stored and bool(parts.queries.list(scope=caller, limit=1, **by).rows)  # type: ignore[arg-type]

    wrong: list[Wrong] = []
    # An empty value asks for alerts that have no grid or station.
    if station and station not in registry.stations and not in_alerts(station=station):
        wrong.append(problems.unknown("query.station", station, registry.stations))
    if grid and not _is_grid(registry, grid, beginning=stored) and not in_alerts(grid=grid):
        wrong.append(problems.unknown("query.grid", grid, registry.station_of_grid))
    if device and not _is_seen(registry, caller, device) and not in_alerts(device=device):
        wrong.append(problems.unknown("query.device", device, ()))
    kinds = {*DEVICE_KINDS, *registry.kinds}
    if kind is not None and kind not in kinds:
        wrong.append(problems.unknown("query.kind", kind, kinds))
    if wrong:
        raise problems.bad_request(wrong)


def _is_grid(registry: Registry, code: str, *, beginning: bool) -> bool:
    matches: Callable[[str], bool] = (
        (lambda known: known.startswith(code)) if beginning else (lambda known: known == code)
    )
    return any(matches(known) for known in (*registry.grids, *registry.places))


def _is_seen(registry: Registry, caller: Actor, device_id: str) -> bool:
    device = registry.find(device_id)
    return device is not None and caller.may_see(device.grid, registry.station_of_grid.get(device.grid, ""))
