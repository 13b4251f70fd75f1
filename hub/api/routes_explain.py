"""Why an alert fired, and why a rule did not fire: the journal played again to the engine."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hub.api import problems
from hub.api.auth import Caller, Parts
from hub.api.parts import ApiParts
from hub.api.problems import Problem
from hub.api.routes_alerts import AlertId, seen
from hub.api.routes_registry import DeviceId
from hub.api.wire import InstantIn, ms_of
from hub.api.wire_explain import ExplanationOut
from hub.errors import NotFound, Unavailable
from hub.i18n import _
from hub.replay.answers import Answers
from hub.replay.telling import told
from hub.rules.testing.explaining import Explanation

router = APIRouter(tags=["explanations"])


@router.get(
    "/alerts/{alert_id}/explanation",
    response_model=ExplanationOut,
    summary="Why an alert fired, the last time that it did: rule, readings, states, limits and times",
    responses=problems.described(404, 503),
)
def of_alert(parts: Parts, caller: Caller, alert_id: AlertId) -> ExplanationOut:
    alert = seen(parts, caller, alert_id)
    occurrences = parts.queries.occurrences(alert_id)
    try:
        found = _answers(parts).of_alert(alert, occurrences)
    except NotFound as missing:
        raise _gone(missing) from missing
    except Unavailable as away:
        raise _away(str(away)) from away
    return _out(parts, found)


@router.get(
    "/devices/{device_id}/explanation",
    response_model=ExplanationOut,
    summary="Whether and why a rule was active for a device at a time, or why not",
    responses=problems.described(404, 503),
)
def of_device(
    parts: Parts,
    caller: Caller,
    device_id: DeviceId,
    rule: Annotated[str, Query(description="Id of the rule", pattern=r"^[a-z0-9][a-z0-9-]{1,63}$")],
    at: Annotated[InstantIn | None, Query(description="When; default: now")] = None,
) -> ExplanationOut:
    registry = parts.registry()
    device = registry.find(device_id)
    if device is None or not caller.may_see(device.grid, registry.station_of_grid.get(device.grid, "")):
        raise problems.no_such(_("There is no such device in your grids."), _("Look it up in the list of devices."))
    asked_ms = ms_of(at)
    try:
        found = _answers(parts).of_device(device_id, rule, parts.clock() if asked_ms is None else asked_ms)
    except NotFound as missing:
        raise _gone(missing) from missing
    except Unavailable as away:
        raise _away(str(away)) from away
    return _out(parts, found)


def _answers(parts: ApiParts) -> Answers:
    if parts.answers is None:
        raise _away("no journal in this process")
    return parts.answers


def _out(parts: ApiParts, found: Explanation) -> ExplanationOut:
    return ExplanationOut.model_validate(told(found, parts.site.zone))


def _gone(missing: NotFound) -> Problem:
    if missing.code == "no-rule":
        return problems.no_such(_("There was no such rule in force then."), _("Look it up in the list of rules."))
    return problems.no_such(_("The device is not in the registry any more."), _("The alert itself says what was kept."))


def _away(why: str) -> Problem:
    return Problem(
        503,
        "explanation-away",
        _("Cannot be explained now"),
        _("The journal cannot be played here just now: {why}."),
        _("Try again soon. In a hub of several processes, ask the one with the role ingest."),
        headers={"Retry-After": "5"},
        why=why,
    )
