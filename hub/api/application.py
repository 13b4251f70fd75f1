"""The web application: routes, errors, headers. `create_app` is all that the rest of the hub needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Depends, FastAPI

from hub.api import (
    filters,
    pages,
    pages_watch,
    problems,
    routes_alerts,
    routes_audit,
    routes_board,
    routes_cases,
    routes_commands,
    routes_dispatch,
    routes_explain,
    routes_figures,
    routes_incidents,
    routes_links,
    routes_noise,
    routes_onboarding,
    routes_operations,
    routes_registry,
    routes_replies,
    routes_rules,
    routes_session,
    routes_shadow,
    routes_shelvings,
    routes_silences,
    routes_stream,
    shield,
)
from hub.api.auth import FailureLimit
from hub.api.parts import ApiParts
from hub.api.routes_alerts import presenter_of
from hub.api.stream import Broadcast
from hub.api.wire import AlertOut, ProblemOut
from hub.model.alerts import Alert

_OPEN = (("post", "/api/v1/session"), ("get", "/api/v1/schema/rules.json"))


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
    app.state.gauges = routes_figures.Gauges()

    def write_out(alerts: Sequence[Alert]) -> list[AlertOut]:
        present = presenter_of(parts)
        return [present.alert(alert) for alert in alerts]

    app.state.broadcast = Broadcast(parts.queries, parts.notifier, parts.health, parts.clock, write_out)
    problems.install(app, pages.problem_page)
    shield.install(app)
    for module in (
        routes_board,
        routes_noise,  # before routes_alerts: /alerts/stale is no alert's id
        routes_shelvings,  # before routes_alerts: shelve is none of its verbs
        routes_alerts,
        routes_cases,
        routes_explain,
        routes_incidents,
        routes_stream,
        routes_registry,
        routes_dispatch,
        routes_silences,
        routes_shadow,  # before routes_rules: /rules/shadow is no rule's id
        routes_rules,
        routes_session,
        routes_commands,
        routes_figures,
        routes_operations,
        routes_onboarding,
        routes_audit,
    ):
        app.include_router(
            module.router,
            prefix="/api/v1",
            responses=problems.described(401, 403, 413, 422, 503),
            dependencies=[Depends(filters.known_only)],
        )
    app.include_router(routes_operations.probes)
    app.include_router(routes_rules.public, prefix="/api/v1")
    app.include_router(routes_links.router)
    app.include_router(routes_replies.router)
    pages.install(app)
    app.include_router(pages_watch.router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # the documented way to extend it
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shape of the problems that routes refer to."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        parts = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**parts.pop("$defs"), "ProblemOut": parts}
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if path.startswith("/api/") and (method, path) not in _OPEN:
                    operation["security"] = [{"token": []}]
    return app.openapi_schema or {}
