"""Silences, maintenance and drills: seen, made and ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from hub.alerts.silences import reaches
from hub.api import problems
from hub.api.auth import ActingCaller, Caller, Parts
from hub.api.parts import ApiParts
from hub.api.routes_alerts import presenter_of
from hub.api.wire import Text, ms_of
from hub.api.wire_dispatch import SilenceIn, SilenceOut
from hub.errors import IllegalAction, NotAllowed
from hub.i18n import _
from hub.model.alerts import Actor
from hub.model.silences import Silence, SilenceKind

router = APIRouter(prefix="/silences", tags=["dispatch"])

SilenceId = Annotated[int, Path(ge=1, le=2**53)]


@router.get(
    "",
    response_model=list[SilenceOut],
    summary="Silences, maintenance and drills that touch your grids, latest first",
)
def list_silences(
    parts: Parts,
    caller: Caller,
    over: Annotated[bool, Query(description="Also those that are over")] = False,
    kind: Annotated[SilenceKind | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> list[SilenceOut]:
    registry = parts.registry()
    found = parts.dispatch.silence_queries.all(
        over_too=over, limit=limit, wanted=lambda one: kind in (None, one.kind) and reaches(registry, one, caller)
    )
    return [_silence(parts, caller, one) for one in found]


@router.post(
    "",
    response_model=SilenceOut,
    status_code=201,
    summary="Silence a place, kinds or devices for a time, or begin a drill",
    responses=problems.described(409),
)
def silence(parts: Parts, caller: ActingCaller, body: SilenceIn) -> SilenceOut:
    try:
        made = parts.dispatch.silences.make(
            body.kind,
            caller,
            parts.clock(),
            start_ms=ms_of(body.start),
            end_ms=ms_of(body.end) or 0,
            place=body.place,
            device_kinds=body.device_kinds,
            devices=body.devices,
            include_p1=body.include_p1,
            tell=body.tell,
            reason=body.reason,
        )
    except NotAllowed as refused:
        raise problems.wrong_role(caller.role) from refused
    except IllegalAction as refused:
        raise problems.illegal_action(refused) from refused
    return _silence(parts, caller, made)


@router.delete(
    "/{silence_id}",
    response_model=SilenceOut,
    summary="End it before its time; what still holds is told at once",
    responses=problems.described(404, 409),
)
def end_silence(parts: Parts, caller: ActingCaller, silence_id: SilenceId) -> SilenceOut:
    found = parts.dispatch.silence_queries.one(silence_id)
    if found is None or not reaches(parts.registry(), found, caller):
        raise problems.no_such(_("There is no such silence or drill."), _("Look it up in the list."))
    try:
        return _silence(parts, caller, parts.dispatch.silences.end(silence_id, caller, parts.clock()))
    except NotAllowed as refused:
        raise problems.wrong_role(caller.role) from refused
    except IllegalAction as refused:
        raise problems.illegal_action(refused) from refused


def _silence(parts: ApiParts, reader: Actor, found: Silence) -> SilenceOut:
    present, now_ms, registry = presenter_of(parts), parts.clock(), parts.registry()

    def is_seen(device_id: str) -> bool:
        device = registry.find(device_id)
        return device is not None and reader.may_see(device.grid, registry.station_of_grid.get(device.grid, ""))

    return SilenceOut(
        id=found.id,
        kind=found.kind,
        place=found.place,
        place_name=present.place(found.place) if found.place else Text(zh="", en=""),
        device_kinds=list(found.device_kinds),
        devices=[one for one in found.devices if "*" in (*reader.grids, *reader.stations) or is_seen(one)],
        start_ms=found.start_ms,
        end_ms=found.end_ms,
        include_p1=found.include_p1,
        tell=list(found.tell),
        by=present.actor_ref(found.actor, found.actor_name),
        reason=found.reason,
        made_at_ms=found.made_at_ms,
        ended_at_ms=found.ended_at_ms,
        ended_by=present.actor_ref(found.ended_by) if found.ended_by else None,
        running=found.ended_at_ms is None and found.start_ms <= now_ms < found.end_ms,
        caught=parts.dispatch.silence_queries.caught(found.id, scope=reader),
    )
