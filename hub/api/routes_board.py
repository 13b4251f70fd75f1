"""What the console shows at once: open alerts, the most urgent first, what was closed lately, and who is on duty."""

from __future__ import annotations

from fastapi import APIRouter, Request

from hub.api.auth import Caller, Parts
from hub.api.parts import ApiParts
from hub.api.routes_alerts import presenter_of
from hub.api.stream import Broadcast
from hub.api.wire import Board
from hub.model.alerts import Actor, Alert
from hub.model.rules import SEVERITIES

router = APIRouter(tags=["alerts"])

PER_SEVERITY = 100
"""Each severity has a share of its own, so that a flood of faults never pushes a fire off the page."""
RECENT = 30
RECENT_MS = 24 * 3_600_000


@router.get(
    "/board", response_model=Board, summary="What the console shows: open and recent alerts, stations, the hub's state"
)
def board(request: Request, parts: Parts, caller: Caller) -> Board:
    return board_of(parts, caller, request.app.state.broadcast)


def board_of(parts: ApiParts, caller: Actor, broadcast: Broadcast) -> Board:
    """Read in an order that lets a stream resumed from `change` miss nothing: first the change, then the alerts."""
    now_ms = parts.clock()
    change = parts.queries.last_change()
    live: list[Alert] = []
    more: list[str] = []
    for severity in SEVERITIES:
        page = parts.queries.list(scope=caller, live=True, severity=severity, limit=PER_SEVERITY)
        live += page.rows
        if page.next is not None:
            more.append(severity)
    recent = parts.queries.list(scope=caller, live=False, test=False, since_ms=now_ms - RECENT_MS, limit=RECENT).rows
    present = presenter_of(parts)
    state = broadcast.state()
    return Board(
        now_ms=now_ms,
        change=change,
        hub=state.hub,
        parts=state.parts,
        troubles=state.troubles,
        alerts=[present.alert(alert) for alert in live],
        more=more,
        recent=[present.alert(alert) for alert in recent],
        stations=present.stations(reader=caller, now_ms=now_ms),
    )
