"""Alerts: list, one, and what people do about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from hub.api import filters, problems
from hub.api.auth import ActingCaller, Caller, Parts
from hub.api.parts import ApiParts
from hub.api.present import Presenter
from hub.api.wire import ActionIn, AlertDetail, AlertOut, InstantIn, Line, Page, ms_of
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.model.alerts import Action, Actor, Alert, CaseState, Seen, Shelving
from hub.model.rules import Severity
from hub.model.silences import Silence

router = APIRouter(prefix="/alerts", tags=["alerts"])

AlertId = Annotated[str, Path(pattern=r"^[0-9a-zA-Z_-]{1,32}$")]
CURSOR: dict[str, Any] = {"pattern": "^[0-9]{1,18}-[0-9a-f]+$", "examples": ["1767225600000-ea89042b8bbb0e8f71ae"]}
VERBS: dict[str, Action] = {
    "acknowledge": "acknowledge",
    "on-scene": "on_scene",
    "false-alarm": "false_alarm",
    "reinforce": "reinforce",
    "close": "close",
}
Verb = Literal["acknowledge", "on-scene", "false-alarm", "reinforce", "close"]


def presenter_of(parts: ApiParts) -> Presenter:
    return Presenter(parts.registry(), parts.policy(), parts.site.zone)


@router.get("", response_model=Page[AlertOut], summary="Alerts, newest first")
def list_alerts(
    parts: Parts,
    caller: Caller,
    live: Annotated[bool | None, Query(description="Only open (true) or only closed ones (false)")] = None,
    severity: Annotated[Severity | None, Query()] = None,
    state: Annotated[CaseState | None, Query()] = None,
    station: Annotated[Line | None, Query()] = None,
    grid: Annotated[Line | None, Query()] = None,
    device: Annotated[Line | None, Query()] = None,
    since: Annotated[InstantIn | None, Query()] = None,
    until: Annotated[InstantIn | None, Query()] = None,
    text: Annotated[Line | None, Query(description="Part of title, place or device id")] = None,
    test: Annotated[bool | None, Query(description="Only tests (true), or without them (false)")] = None,
    incident: Annotated[Line | None, Query(description="Only alerts of this incident")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[Line | None, Query(description="`next` of the page before", json_schema_extra=CURSOR)] = None,
) -> Page[AlertOut]:
    filters.check(parts, caller, grid=grid, station=station, device=device, stored=True)
    try:
        page = parts.queries.list(
            scope=caller,
            live=live,
            severity=severity,
            state=state,
            station=station,
            grid=grid,
            device=device,
            since_ms=ms_of(since),
            until_ms=ms_of(until),
            text=text,
            test=test,
            incident=incident,
            limit=limit,
            before=before,
        )
    except ValueError as wrong:
        raise problems.unknown_cursor() from wrong
    present = presenter_of(parts)
    return Page[AlertOut].model_construct(items=[present.alert(row) for row in page.rows], next=page.next)


def seen(parts: ApiParts, caller: Actor, alert_id: str) -> Alert:
    """The alert, if it exists and lies in the caller's grids; else 404, the same for both."""
    alert = parts.queries.one(alert_id)
    if alert is None or not caller.may_see(alert.grid, alert.station):
        raise problems.no_such_alert()
    return alert


def detail_of(parts: ApiParts, alert: Alert) -> AlertDetail:
    queries = parts.queries
    return presenter_of(parts).alert_detail(
        alert,
        queries.audit(alert.id),
        queries.deliveries(alert.id),
        queries.occurrences(alert.id),
        _why_quiet(parts, alert),
    )


def _why_quiet(parts: ApiParts, alert: Alert) -> Shelving | Silence | None:
    """What keeps the alert quiet, or the drill that it is part of."""
    if alert.quiet in ("shelved", "out_of_service"):
        return parts.shelvings.of_alert(alert)
    if alert.silence_id is not None and (alert.quiet or alert.drill):
        return parts.dispatch.silence_queries.one(alert.silence_id)
    return None


@router.get(
    "/{alert_id}",
    response_model=AlertDetail,
    summary="One alert with its timeline and notifications",
    responses=problems.described(404),
)
def one_alert(parts: Parts, caller: Caller, alert_id: AlertId) -> AlertDetail:
    alert = seen(parts, caller, alert_id)
    if parts.answering is not None:
        parts.answering.saw(alert, caller, parts.clock())
    return detail_of(parts, alert)


@router.post(
    "/{alert_id}/{verb}",
    response_model=AlertDetail,
    summary="Acknowledge, report on scene, mark as false alarm, call for reinforcement, or close",
    responses=problems.described(404, 409),
)
def act(parts: Parts, caller: ActingCaller, alert_id: AlertId, verb: Verb, body: ActionIn | None = None) -> AlertDetail:
    seen(parts, caller, alert_id)
    reason = body.reason if body is not None else ""
    shown = (
        None if body is None or body.occurrence is None else Seen(occurrence=body.occurrence, severity=body.severity)
    )
    if verb == "false-alarm" and not reason:
        raise problems.reason_missing()
    try:
        alert = parts.desk.act(alert_id, VERBS[verb], caller, parts.clock(), reason=reason, seen=shown)
    except NotFound as missing:
        raise problems.no_such_alert() from missing
    except NotAllowed as refused:
        raise problems.wrong_role(caller.role) from refused
    except IllegalAction as illegal:
        by = illegal.values.get("by")
        named = {"by": presenter_of(parts).called(by)} if by else {}
        raise problems.illegal_action(illegal, **named) from illegal
    return detail_of(parts, alert)
