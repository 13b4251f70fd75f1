"""Devices, grids and stations, as the registry has them now."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query
from numpy.typing import NDArray

from hub.api import filters, problems
from hub.api.auth import Caller, Parts
from hub.api.parts import ApiParts
from hub.api.present import Presenter
from hub.api.routes_alerts import presenter_of
from hub.api.wire import DeviceDetail, DeviceOut, GridOut, Line, Page, ReadingOut, StationOut
from hub.errors import Unavailable
from hub.i18n import _
from hub.model.alerts import Actor
from hub.model.places import Device
from hub.registry.snapshot import Registry

router = APIRouter(tags=["registry"])

DeviceId = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f/]+$")]


@router.get("/devices", response_model=Page[DeviceOut], summary="Devices in the order of the registry")
def list_devices(
    parts: Parts,
    caller: Caller,
    kind: Annotated[Line | None, Query()] = None,
    grid: Annotated[Line | None, Query()] = None,
    station: Annotated[Line | None, Query()] = None,
    text: Annotated[Line | None, Query(description="Part of id, name or model")] = None,
    silent: Annotated[
        bool | None, Query(description="Only devices that are silent for too long (true), or not (false)")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,9}$", description="The cursor `next` of the page before")
    ] = None,
) -> Page[DeviceOut]:
    filters.check(parts, caller, kind=kind, grid=grid, station=station)
    registry, present = parts.registry(), presenter_of(parts)
    quiet = parts.silent()
    chosen = _slots(registry, caller, kind=kind, grid=grid, station=station)
    found = _matching(registry, chosen[chosen > int(after)] if after else chosen, text, quiet, silent)
    rows = list(islice(found, limit + 1))
    return Page[DeviceOut].model_construct(
        items=[present.device(device, silent=device.id in quiet) for device in rows[:limit]],
        next=str(rows[limit - 1].slot) if len(rows) > limit else None,
    )


def _slots(
    registry: Registry, caller: Actor, *, kind: str | None, grid: str | None, station: str | None
) -> NDArray[np.int64]:
    """Slots of the devices that `caller` may see and that fit the filters, by column, without building any device."""
    allowed = [
        n
        for n, code in enumerate(registry.grids)
        if caller.may_see(code, served := registry.station_of_grid.get(code, ""))
        and (grid is None or code == grid)
        and (station is None or served == station)
    ]
    mask = registry.active & np.isin(registry.grid, np.array(allowed, dtype=np.int32))
    if kind is not None:
        mask &= registry.kind == (registry.kinds.index(kind) if kind in registry.kinds else -2)
    return np.flatnonzero(mask)


def _matching(
    registry: Registry, slots: NDArray[np.int64], text: str | None, quiet: Collection[str], silent: bool | None
) -> Iterator[Device]:
    wanted = (text or "").casefold()
    for slot in slots:
        if silent is not None and (registry.ids[slot] in quiet) is not silent:
            continue
        device = registry.device(int(slot))
        said = f"{device.id}\n{device.name.zh}\n{device.name.en}\n{device.model}"
        if wanted in said.casefold():
            yield device


@router.get(
    "/devices/{device_id}",
    response_model=DeviceDetail,
    summary="One device with its latest readings",
    responses=problems.described(404),
)
def one_device(parts: Parts, caller: Caller, device_id: DeviceId) -> DeviceDetail:
    registry, present = parts.registry(), presenter_of(parts)
    device = registry.find(device_id)
    if device is None or not caller.may_see(device.grid, registry.station_of_grid.get(device.grid, "")):
        raise problems.no_such(_("There is no such device in your grids."), _("Look it up in the list of devices."))
    alerts = parts.queries.list(scope=caller, live=True, device=device_id, limit=50)
    return DeviceDetail.model_construct(
        **present.device_fields(device, silent=device_id in parts.silent()),
        latest=_latest(parts, present, device_id),
        open_alerts=[alert.id for alert in alerts.rows],
    )


def _latest(parts: ApiParts, present: Presenter, device_id: str) -> list[ReadingOut] | None:
    try:
        return [present.reading(r.quantity, r.value, r.observed_at_ms) for r in parts.latest(device_id)]
    except Unavailable:  # a dead history must not hide the device
        return None


@router.get("/grids", response_model=list[GridOut], summary="The grids you see, on request with their outlines")
def list_grids(
    parts: Parts, caller: Caller, outlines: Annotated[bool, Query(description="Add GeoJSON outlines")] = False
) -> list[GridOut]:
    return presenter_of(parts).grids(reader=caller, outlines=outlines)


@router.get("/stations", response_model=list[StationOut], summary="The stations you see, who is on duty, and gaps")
def list_stations(parts: Parts, caller: Caller) -> list[StationOut]:
    return presenter_of(parts).stations(reader=caller, now_ms=parts.clock())
