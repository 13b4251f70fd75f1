"""What tells nobody for a time: shelved alerts, and devices out of service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hub.api import problems
from hub.api.auth import ActingCaller, Caller, Parts
from hub.api.parts import ApiParts
from hub.api.routes_alerts import AlertId, detail_of, seen
from hub.api.routes_cases import case_presenter, illegal
from hub.api.routes_registry import DeviceId
from hub.api.wire import AlertDetail
from hub.api.wire_cases import OutIn, ShelveIn, ShelvingOut
from hub.errors import IllegalAction, NotAllowed
from hub.i18n import _
from hub.model.alerts import Actor

router = APIRouter(tags=["alerts"])


@router.get("/shelvings", response_model=list[ShelvingOut], summary="What is shelved or out of service, latest first")
def list_shelvings(
    parts: Parts,
    caller: Caller,
    ended: Annotated[bool, Query(description="Also those that have ended")] = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> list[ShelvingOut]:
    present = case_presenter(parts, caller)
    return [present.shelving(row) for row in parts.shelvings.all(scope=caller, open_only=not ended, limit=limit)]


@router.post(
    "/alerts/{alert_id}/shelve",
    response_model=AlertDetail,
    summary="Keep an alert quiet for a time, or until its condition ends; never a P1",
    responses=problems.described(404, 409),
)
def shelve(parts: Parts, caller: ActingCaller, alert_id: AlertId, body: ShelveIn) -> AlertDetail:
    seen(parts, caller, alert_id)
    try:
        alert = parts.shelf.shelve(
            alert_id, caller, parts.clock(), kind=body.kind, for_s=body.for_s, reason=body.reason
        )
    except IllegalAction as refused:
        raise illegal(parts, refused) from refused
    return detail_of(parts, alert)


@router.delete(
    "/alerts/{alert_id}/shelve",
    response_model=AlertDetail,
    summary="Let a shelved alert tell people again; if its condition holds it alarms at once",
    responses=problems.described(404, 409),
)
def unshelve(parts: Parts, caller: ActingCaller, alert_id: AlertId) -> AlertDetail:
    seen(parts, caller, alert_id)
    try:
        parts.shelf.unshelve(alert_id, caller, parts.clock())
    except IllegalAction as refused:
        raise illegal(parts, refused) from refused
    return detail_of(parts, seen(parts, caller, alert_id))


@router.post(
    "/devices/{device_id}/out-of-service",
    response_model=ShelvingOut,
    status_code=201,
    summary="Put a device out of service for a time; what it says is recorded and tells nobody",
    responses=problems.described(404, 409),
)
def take_out(parts: Parts, caller: ActingCaller, device_id: DeviceId, body: OutIn) -> ShelvingOut:
    grid, station = _where(parts, caller, device_id)
    try:
        parts.shelf.take_out(device_id, grid, station, caller, parts.clock(), for_s=body.for_s, reason=body.reason)
    except NotAllowed as refused:
        raise problems.wrong_role(caller.role) from refused
    except IllegalAction as refused:
        raise illegal(parts, refused) from refused
    return _shown(parts, caller, device_id)


@router.delete(
    "/devices/{device_id}/out-of-service",
    response_model=ShelvingOut,
    summary="Put a device back into service; what holds alarms at once",
    responses=problems.described(404, 409),
)
def put_back(parts: Parts, caller: ActingCaller, device_id: DeviceId) -> ShelvingOut:
    grid, station = _where(parts, caller, device_id)
    try:
        ended = parts.shelf.put_back(device_id, grid, station, caller, parts.clock())
    except NotAllowed as refused:
        raise problems.wrong_role(caller.role) from refused
    except IllegalAction as refused:
        raise illegal(parts, refused) from refused
    return case_presenter(parts, caller).shelving(ended)


def _where(parts: ApiParts, caller: Actor, device_id: str) -> tuple[str, str]:
    """Grid and station of a device that the caller may see; else 404."""
    registry = parts.registry()
    device = registry.find(device_id)
    station = "" if device is None else registry.station_of_grid.get(device.grid, "")
    if device is None or not caller.may_see(device.grid, station):
        raise problems.no_such(_("There is no such device in your grids."), _("Look it up in the list of devices."))
    return device.grid, station


def _shown(parts: ApiParts, caller: Actor, device_id: str) -> ShelvingOut:
    found = parts.shelf.out(device_id)
    if found is None:  # it ended, or somebody ended it, a moment ago
        raise problems.no_such(_("There is no such device in your grids."), _("Look it up in the list of devices."))
    return case_presenter(parts, caller).shelving(found)
