"""The pages of duty, of silences and drills, and of proof. Everything on them comes from the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from hub.alerts.silences import MAKES, MAKES_GRAVE, MOST_P1_S, MOST_S
from hub.api import problems, strings_watch
from hub.api.auth import COOKIE, KEEPS_RULES, Parts, may_change_rules, set_session
from hub.api.language import locale_of
from hub.api.pages import READS_DUTY, about, render, to_sign_in
from hub.api.parts import ApiParts
from hub.api.present import me
from hub.api.routes_alerts import presenter_of
from hub.api.routes_session import is_secure
from hub.i18n import text
from hub.model.alerts import Actor
from hub.model.places import LADDER
from hub.registry.kinds import CANARY, DEVICE_KINDS, HUB

router = APIRouter(include_in_schema=False)


@router.get("/duty")
def duty_page(request: Request, parts: Parts) -> Response:
    session, actor = _reader(request, parts)
    if actor is None:
        return to_sign_in(request)
    if actor.role not in READS_DUTY:
        raise problems.wrong_role(actor.role)
    extra = {"checks": actor.role in KEEPS_RULES, "contacts": may_change_rules(actor)}
    return _page(request, parts, "duty", session, actor, strings_watch.DUTY, extra)


@router.get("/silences")
def silences_page(request: Request, parts: Parts) -> Response:
    session, actor = _reader(request, parts)
    if actor is None:
        return to_sign_in(request)
    present = presenter_of(parts)
    places = [grid.code for grid in present.grids(reader=actor, outlines=False)]
    if "*" in (*actor.grids, *actor.stations):
        above = (place for place in parts.registry().places.values() if place.level in LADDER)
        places = [place.code for place in sorted(above, key=lambda place: LADDER.index(place.level))]
    extra = {
        "makes": actor.role in MAKES,
        "grave": actor.role in MAKES_GRAVE,
        "most_s": MOST_S,
        "most_p1_s": MOST_P1_S,
        "kinds": [kind for kind in DEVICE_KINDS if kind not in (HUB, CANARY)],
        "places": [{"code": code, "name": present.place(code).model_dump()} for code in places],
        "stations": [
            {"id": one.id, "name": one.name.model_dump()}
            for one in present.stations(reader=actor, now_ms=parts.clock())
        ],
    }
    return _page(request, parts, "silences", session, actor, strings_watch.SILENCES, extra)


@router.get("/audit")
def audit_page(request: Request, parts: Parts) -> Response:
    session, actor = _reader(request, parts)
    if actor is None:
        return to_sign_in(request)
    if actor.role not in KEEPS_RULES:
        raise problems.wrong_role(actor.role)
    if not may_change_rules(actor):
        raise problems.not_everywhere()
    return _page(request, parts, "audit", session, actor, strings_watch.AUDIT, {})


def _reader(request: Request, parts: ApiParts) -> tuple[str, Actor | None]:
    session = request.cookies.get(COOKIE, "")
    return session, parts.sessions.actor_of(session, parts.clock()) if session else None


def _page(
    request: Request,
    parts: ApiParts,
    name: str,
    session: str,
    actor: Actor,
    said: dict[str, str],
    extra: dict[str, Any],
) -> Response:
    locale = locale_of(request, parts.site.locale)
    start = {
        **about(request, parts, session, locale),
        "me": me(actor).model_dump(mode="json"),
        "now_ms": parts.clock(),
        "strings": strings_watch.texts(said, locale),
        **extra,
    }
    title = text(locale)(strings_watch.TITLES[name])
    page = render(request, "watch.html", parts, title=title, script=name, start=start)
    set_session(page, session, secure=is_secure(request, parts.site.public_url))
    return page
