"""Incidents: alerts that are told together."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from hub.api import problems
from hub.api.auth import Caller, Parts
from hub.api.present import Presenter
from hub.api.routes_alerts import CURSOR, presenter_of
from hub.api.wire import Line, Page, Text, instant
from hub.api.wire_noise import IncidentDetail, IncidentOut
from hub.i18n import _
from hub.model.alerts import Incident

router = APIRouter(prefix="/incidents", tags=["alerts"])

IncidentId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,32}$")]
MOST_MEMBERS = 200


@router.get("", response_model=Page[IncidentOut], summary="Incidents, newest first")
def list_incidents(
    parts: Parts,
    caller: Caller,
    live: Annotated[bool | None, Query(description="Only open (true) or only closed ones (false)")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[Line | None, Query(description="`next` of the page before", json_schema_extra=CURSOR)] = None,
) -> Page[IncidentOut]:
    try:
        page = parts.incidents.list(scope=caller, live=live, limit=limit, before=before)
    except ValueError as wrong:
        raise problems.unknown_cursor() from wrong
    present = presenter_of(parts)
    items = [IncidentOut.model_construct(**_fields(present, *row)) for row in page.rows]
    return Page[IncidentOut].model_construct(items=items, next=page.next)


@router.get(
    "/{incident_id}",
    response_model=IncidentDetail,
    summary="One incident with its alerts",
    responses=problems.described(404),
)
def one_incident(parts: Parts, caller: Caller, incident_id: IncidentId) -> IncidentDetail:
    found = parts.incidents.one(incident_id, scope=caller)
    if found is None:
        raise problems.no_such(_("There is no such incident in your grids."), _("Look it up in the list of incidents."))
    present = presenter_of(parts)
    members = parts.queries.list(scope=caller, incident=incident_id, limit=MOST_MEMBERS).rows
    return IncidentDetail.model_construct(
        **_fields(present, *found), members=[present.alert(alert) for alert in members]
    )


def _fields(present: Presenter, incident: Incident, open_alerts: int) -> dict[str, Any]:
    copied = (
        "id", "rule_id", "severity", "live", "alerts", "first_alert", "opened_at_ms", "last_at_ms", "closed_at_ms",
    )  # fmt: skip
    return {name: getattr(incident, name) for name in copied} | {
        "title": Text(zh=incident.title_zh, en=incident.title_en),
        "place": present.place(incident.place),
        "place_code": incident.place,
        "grid": present.grid_ref(incident.grid),
        "station": present.station_ref(incident.station),
        "open_alerts": open_alerts,
        "opened_at": instant(incident.opened_at_ms, present.zone),
        "next_message_at_ms": incident.digest_due_ms,
        "messages": incident.digests,
    }
