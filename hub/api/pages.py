"""The pages: sign-in and the console. Everything on them that changes comes from the API; the page only brings the start."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.staticfiles import StaticFiles

from hub.alerts.case_desk import REPORTING
from hub.alerts.shelf import MOST_OUT_S, MOST_S, TAKES_OUT
from hub.api import problems, strings, strings_cases, strings_onboarding, strings_rules, strings_watch
from hub.api.auth import (
    COOKIE,
    CSRF_HEADER,
    KEEPS_RULES,
    READS_QUARANTINE,
    Parts,
    csrf_of,
    may_change_rules,
    set_session,
)
from hub.api.language import COOKIE as LOCALE_COOKIE
from hub.api.language import locale_of
from hub.api.parts import ApiParts
from hub.api.present import me
from hub.api.problems import Problem
from hub.api.routes_alerts import AlertId, detail_of, presenter_of
from hub.api.routes_board import board_of
from hub.api.routes_session import is_secure
from hub.i18n import LOCALES, text
from hub.model.alerts import Actor, Role

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).parent.parent / "web"
THEME_COOKIE = "gridhub_theme"
THEMES = ("light", "dark")
READS_DUTY: tuple[Role, ...] = ("station", "officer", "admin")
FOREVER = "public, max-age=31536000, immutable"


def version_of(folder: Path) -> str:
    """A name for the present content of `folder`: part of the address of its files, so that browsers never mix two versions."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


class Static(StaticFiles):
    """Our own files, kept by browsers for good: a changed file has another address."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = FOREVER
        return response


def install(app: FastAPI) -> None:
    """Adds the pages and their files to `app`."""
    version = version_of(WEB / "static")
    app.state.static = f"/static/{version}"
    app.state.templates = {locale: _templates(locale) for locale in LOCALES}
    app.mount(app.state.static, Static(directory=WEB / "static"), name="static")
    app.include_router(router)


def _templates(locale: str) -> Any:
    environment: Any = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    say = text(locale)
    environment.install_gettext_callables(say, lambda one, many, n: say(one if n == 1 else many), newstyle=True)
    return environment


def render(request: Request, template: str, parts: ApiParts, status: int = 200, **values: Any) -> HTMLResponse:
    """The page in the reader's language and theme."""
    locale = locale_of(request, parts.site.locale)
    environment: Any = request.app.state.templates[locale]
    theme = request.cookies.get(THEME_COOKIE, "")
    html = environment.get_template(template).render(
        locale=locale,
        theme=theme if theme in THEMES else "",
        static=request.app.state.static,
        site=parts.site.name,
        **values,
    )
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store", "Vary": "Cookie, Accept-Language"})


@router.get("/")
def console(request: Request, parts: Parts) -> Response:
    return _console(request, parts, None)


@router.get("/alerts/{alert_id}")
def alert_page(request: Request, parts: Parts, alert_id: AlertId) -> Response:
    return _console(request, parts, alert_id)


@router.get("/rules")
@router.get("/rules/{view:path}")
def rules_page(request: Request, parts: Parts, view: str = "") -> Response:
    session = request.cookies.get(COOKIE, "")
    actor = parts.sessions.actor_of(session, parts.clock()) if session else None
    if actor is None:
        return to_sign_in(request)
    if actor.role not in KEEPS_RULES:
        raise problems.wrong_role(actor.role)
    locale = locale_of(request, parts.site.locale)
    start = {
        **about(request, parts, session, locale),
        "me": me(actor).model_dump(mode="json"),
        "may_edit": may_change_rules(actor),
        "skeleton": strings_rules.SKELETON,
        "strings": strings_rules.for_rules(locale),
    }
    page = render(request, "rules.html", parts, start=start)
    set_session(page, session, secure=is_secure(request, parts.site.public_url))
    return page


@router.get("/cases")
@router.get("/cases/{view}")
def cases_page(request: Request, parts: Parts, view: str = "") -> Response:
    session = request.cookies.get(COOKIE, "")
    actor = parts.sessions.actor_of(session, parts.clock()) if session else None
    if actor is None:
        return to_sign_in(request)
    locale = locale_of(request, parts.site.locale)
    grids = presenter_of(parts).grids(reader=actor, outlines=False)
    assignees = {grid.station.id: grid.station.name for grid in grids if grid.station is not None}
    assignees |= {grid.responsible.id: grid.responsible.name for grid in grids if grid.responsible is not None}
    start = {
        **about(request, parts, session, locale),
        "me": me(actor).model_dump(mode="json"),
        "may_report": actor.role in REPORTING,
        "now_ms": parts.clock(),
        "grids": [{"code": grid.code, "name": grid.name.model_dump()} for grid in grids],
        "assignees": [{"id": known, "name": name.model_dump()} for known, name in assignees.items()],
        "strings": strings_cases.for_cases(locale),
    }
    page = render(request, "cases.html", parts, start=start)
    set_session(page, session, secure=is_secure(request, parts.site.public_url))
    return page


@router.get("/onboarding")
def onboarding_page(request: Request, parts: Parts) -> Response:
    session = request.cookies.get(COOKIE, "")
    actor = parts.sessions.actor_of(session, parts.clock()) if session else None
    if actor is None:
        return to_sign_in(request)
    if actor.role not in READS_QUARANTINE:
        raise problems.wrong_role(actor.role)
    locale = locale_of(request, parts.site.locale)
    start = {
        **about(request, parts, session, locale),
        "kinds": list(strings_onboarding.CLAIMABLE),
        "grids": [
            g.model_dump(mode="json", include={"code", "name"})
            for g in presenter_of(parts).grids(reader=actor, outlines=False)
        ],
        "strings": strings_onboarding.for_onboarding(locale),
    }
    page = render(request, "onboarding.html", parts, start=start)
    set_session(page, session, secure=is_secure(request, parts.site.public_url))
    return page


def watch_pages(actor: Actor) -> list[str]:
    """Those of the pages of duty, silences and proof that `actor` may open; the menu leads there."""
    return [
        *(["duty"] if actor.role in READS_DUTY else []),
        "silences",
        *(["audit"] if may_change_rules(actor) else []),
    ]


def to_sign_in(request: Request) -> Response:
    # Browsers carry a #token=… over the redirect; it never reaches the server.
    return RedirectResponse(f"/sign-in?next={quote(request.url.path)}", 303, headers={"Cache-Control": "no-store"})


def about(request: Request, parts: ApiParts, session: str, locale: str) -> dict[str, Any]:
    """What every page's scripts need to know about themselves."""
    return {
        "csrf": csrf_of(session),
        "csrf_header": CSRF_HEADER,
        "locale": locale,
        "locale_cookie": LOCALE_COOKIE,
        "locales": list(LOCALES),
        "theme_cookie": THEME_COOKIE,
        "zone": parts.site.zone,
        "drill_on": text(locale)(strings_watch.DRILL_ON),
    }


def _console(request: Request, parts: ApiParts, alert_id: str | None) -> Response:
    session = request.cookies.get(COOKIE, "")
    actor = parts.sessions.actor_of(session, parts.clock()) if session else None
    if actor is None:
        return to_sign_in(request)
    locale = locale_of(request, parts.site.locale)
    alert = parts.queries.one(alert_id) if alert_id is not None else None
    seen = alert is not None and actor.may_see(alert.grid, alert.station)
    start = {
        **about(request, parts, session, locale),
        "me": me(actor).model_dump(mode="json"),
        "reads_rules": actor.role in KEEPS_RULES,
        "pages": watch_pages(actor),
        "quiet": {"most_s": MOST_S, "out_s": MOST_OUT_S, "takes_out": actor.role in TAKES_OUT},
        "board": board_of(parts, actor, request.app.state.broadcast).model_dump(mode="json"),
        "grids": [g.model_dump(mode="json") for g in presenter_of(parts).grids(reader=actor, outlines=True)],
        "selected": detail_of(parts, alert).model_dump(mode="json") if alert is not None and seen else None,
        "missing": alert_id is not None and not seen,
        "strings": strings.for_console(locale),
    }
    page = render(request, "console.html", parts, 404 if start["missing"] else 200, start=start)
    set_session(page, session, secure=is_secure(request, parts.site.public_url))  # use renews it here as in the ledger
    return page


def problem_page(request: Request, problem: Problem) -> Response | None:
    """The problem as a page, for a browser that wanted one; it tries again by itself when the hub's store was away."""
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return None
    parts: ApiParts = request.app.state.parts
    body = problem.body(locale_of(request, parts.site.locale))
    page = render(
        request, "problem.html", parts, problem.status, problem=body, retry_s=problem.headers.get("Retry-After", "")
    )
    page.headers.update(problem.headers)
    return page


@router.get("/sign-in")
def sign_in_page(request: Request, parts: Parts) -> Response:
    return render(
        request, "sign_in.html", parts, start={"strings": strings.for_sign_in(locale_of(request, parts.site.locale))}
    )


@router.get("/favicon.ico")
def favicon(request: Request) -> Response:
    return RedirectResponse(f"{request.app.state.static}/icon.svg", 308, headers={"Cache-Control": "max-age=3600"})


@router.get("/manifest.webmanifest")
def manifest(request: Request, parts: Parts) -> Response:
    """So that the console can be put on a phone's home screen."""
    icon = {"src": f"{request.app.state.static}/icon.svg", "sizes": "any", "type": "image/svg+xml"}
    body = {
        "name": f"GridHub {parts.site.name}",
        "short_name": "GridHub",
        "start_url": "/",
        "display": "standalone",
        "background_color": "#10151c",
        "theme_color": "#10151c",
        "icons": [icon],
    }
    return JSONResponse(body, media_type="application/manifest+json", headers={"Cache-Control": "max-age=3600"})
