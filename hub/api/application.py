"""The web application: routes, errors, headers. `create_app` is all that the rest of the hub needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from hub.api import (
    pages,
    problems,
    routes_alerts,
    routes_board,
    routes_operations,
    routes_registry,
    routes_session,
    routes_stream,
    shield,
)
from hub.api.auth import FailureLimit
from hub.api.parts import ApiParts
from hub.api.routes_alerts import presenter_of
from hub.api.stream import Broadcast
from hub.api.wire import AlertOut
from hub.model.alerts import Alert

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}},
    }
    for status, text in (
        (401, "Not signed in, or the token is not accepted"),
        (403, "The role may not do this"),
        (413, "The request is too large"),
        (422, "The request was not understood"),
        (503, "The hub's store does not answer; see Retry-After"),
    )
}


def create_app(parts: ApiParts) -> FastAPI:
    """The API and the web console over `parts`. Starts nothing: serve it with uvicorn, and call `parts.notifier.close()`
    before the server is asked to stop, so that open streams end.
    """
    from hub import __version__

    app = FastAPI(
        title="GridHub",
        version=__version__,
        summary="Alerts, devices, grids and stations of a community's safety hub",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.parts = parts
    app.state.failures = FailureLimit()

    def write_out(alerts: Sequence[Alert]) -> list[AlertOut]:
        present = presenter_of(parts)
        return [present.alert(alert) for alert in alerts]

    app.state.broadcast = Broadcast(parts.queries, parts.notifier, parts.health, parts.clock, write_out)
    problems.install(app, pages.problem_page)
    shield.install(app)
    for module in (routes_board, routes_alerts, routes_stream, routes_registry, routes_session, routes_operations):
        app.include_router(module.router, prefix="/api/v1", responses=_REFUSALS)
    app.include_router(routes_operations.probes)
    pages.install(app)
    return app
