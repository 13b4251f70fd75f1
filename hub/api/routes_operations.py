"""For operators and their machines: is it up, is it ready, how is it doing, and what did devices send wrongly."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hub.api.auth import Parts, QuarantineReader
from hub.api.parts import ApiParts
from hub.api.routes_alerts import presenter_of
from hub.api.wire import Alive, PartOut, QuarantineOut, Ready
from hub.errors import Unavailable
from hub.ingest.asyncapi import document
from hub.model.rules import SEVERITIES
from hub.telemetry import ALERTS_OPEN, ALERTS_STALE, log

probes = APIRouter(tags=["operations"])
router = APIRouter(tags=["operations"])


@probes.get("/healthz", response_model=Alive, summary="The process is up")
async def healthz() -> Alive:
    return Alive()


@probes.get("/asyncapi.json", summary="What devices say over MQTT in the native dialect: AsyncAPI 3")
async def asyncapi() -> dict[str, Any]:
    return document()


@probes.get("/readyz", response_model=Ready, responses={503: {"model": Ready}}, summary="Every part with its state")
def readyz(parts: Parts, response: Response) -> Ready:
    state = ready(parts)
    response.status_code = 200 if state.ready else 503
    response.headers["Cache-Control"] = "no-store"
    return state


def ready(parts: ApiParts) -> Ready:
    found = parts.health()
    return Ready(
        ready=not any(part.state == "down" and part.required for part in found.values()),
        parts={
            name: PartOut(state=part.state, detail=part.detail, required=part.required) for name, part in found.items()
        },
    )


@probes.get(
    "/metrics",
    response_class=Response,
    summary="Prometheus metrics",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, parts: Parts) -> Response:
    request.app.state.gauges.renew(parts)
    try:
        counts = parts.queries.open_counts()
        stale: float = parts.noise.stale_count(parts.clock())
    except Unavailable as away:  # an old number would look like a good one
        log.warning("metrics.no_ledger", reason=str(away))
        counts, stale = None, float("nan")
    for severity in SEVERITIES:
        ALERTS_OPEN.labels(severity=severity).set(float("nan") if counts is None else counts.get(severity, 0))
    ALERTS_STALE.set(stale)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/quarantine", response_model=list[QuarantineOut], summary="Messages that could not be used, newest first")
def quarantine(
    parts: Parts, reader: QuarantineReader, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[QuarantineOut]:
    present, registry = presenter_of(parts), parts.registry()
    everywhere = "*" in reader.grids or "*" in reader.stations

    def theirs(address: str) -> bool:
        slot = registry.slot_of_address.get(address)
        grid = registry.grid_code(slot) if slot is not None else ""
        return bool(grid) and reader.may_see(grid, registry.station_of_grid.get(grid, ""))

    rows = parts.queries.quarantine(limit)
    return [present.quarantined(row) for row in rows if everywhere or theirs(row.address)]
