"""The live stream of alert changes (server-sent events)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse

from hub.api.auth import Caller, Parts, actor_of
from hub.api.parts import ApiParts
from hub.api.problems import Problem
from hub.api.stream import Broadcast
from hub.model.alerts import Actor

router = APIRouter(tags=["alerts"])

HEARTBEAT_S = 15
Change = Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$", description="Resume after this change")]


@router.get(
    "/stream",
    response_class=EventSourceResponse,
    summary="Each change of an alert you may see, as it happens",
    description=(
        "Events: `hello` and `beat` (the hub's time and state), `alert` (an alert as in the list; `id` is its change), "
        "`signed-out`. Resume with `Last-Event-ID` or `?since=`; an alert may come again, one is never left out."
    ),
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    request: Request,
    parts: Parts,
    caller: Caller,
    since: Change = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> EventSourceResponse:
    broadcast: Broadcast = request.app.state.broadcast
    now = await run_in_threadpool(parts.queries.last_change)  # fails here, as a problem, and not in mid-stream
    last = last_event_id if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit() else since
    resume = None if last is None else int(last)
    return EventSourceResponse(
        broadcast.stream(caller, now, resume, lambda: _still(request, parts)), ping=HEARTBEAT_S, sep="\n"
    )


def _still(request: Request, parts: ApiParts) -> Actor | None:
    """The actor as of now, None when the token or session behind an open stream is no longer good."""
    try:
        return actor_of(request, parts)
    except Problem:
        return None
