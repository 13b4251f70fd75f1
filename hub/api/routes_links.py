"""One-tap links: a page that asks once, and the tap that acts. Opening a link changes nothing, for chat programs open it too."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response

from hub.answering import Answering, Looked
from hub.api import problems
from hub.api.auth import FailureLimit, Parts
from hub.api.language import locale_of
from hub.api.pages import render
from hub.api.parts import ApiParts
from hub.api.routes_alerts import presenter_of
from hub.clock import wall_clock
from hub.dispatch.links import PATH, LinkAction
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.i18n import _, text
from hub.model.places import Name

router = APIRouter(prefix=PATH, include_in_schema=False)

Token = Annotated[str, Path(pattern=r"^[0-9A-Za-z_.-]{1,600}$")]

_ASK: dict[LinkAction, str] = {
    "acknowledge": _("Acknowledge"),
    "on_scene": _("On scene"),
    "false_alarm": _("False alarm"),
    "reinforce": _("Call reinforcement"),
}
_DONE: dict[LinkAction, str] = {
    "acknowledge": _("Acknowledged"),
    "on_scene": _("You are on scene"),
    "false_alarm": _("Marked as false alarm"),
    "reinforce": _("Reinforcement is called"),
}
_REASONS = (_("Cooking smoke"), _("Steam"), _("Cigarette smoke"), _("Faulty detector"), _("Somebody tested it"))
_TROUBLE = {
    "unknown": (404, _("This link is not valid. Open the message again and tap, or sign in.")),
    "expired": (410, _("This link has expired. Use the newest message, or sign in.")),
    "used": (200, _("This link was used at {clock}. Nothing more was done.")),
    "outdated": (409, _("The device has raised the alarm again since this message. Use the newest message.")),
    "over": (410, _("The alert is closed.")),
    "stranger": (403, _("The hub no longer knows the one this message went to.")),
}


def _answering(parts: ApiParts) -> Answering:
    if parts.answering is None:
        raise problems.no_such(_("This process takes no answers."))
    return parts.answering


@router.get("/{token}")
@router.head("/{token}")
def ask(request: Request, parts: Parts, token: Token) -> Response:
    looked = _looked(request, parts, token)
    if looked.why or looked.link is None:
        return _refused(request, parts, looked)
    say = text(locale_of(request, parts.site.locale))
    action = looked.link.action
    reasons = [say(reason) for reason in _REASONS] if action == "false_alarm" else []
    return _page(request, parts, looked, heading=say(_ASK[action]), button=say(_ASK[action]), reasons=reasons)


@router.post("/{token}")
def act(request: Request, parts: Parts, token: Token, reason: Annotated[str, Form(max_length=200)] = "") -> Response:
    looked = _looked(request, parts, token)
    if looked.why or looked.link is None:
        return _refused(request, parts, looked)
    if looked.link.action == "false_alarm" and not reason.strip():
        raise problems.reason_missing()
    try:
        done = _answering(parts).follow(token, parts.clock(), reason=reason.strip())
    except NotFound as missing:
        raise problems.no_such_alert() from missing
    except NotAllowed as refused:
        raise problems.no_such_alert() from refused
    except IllegalAction as illegal:
        by = illegal.values.get("by")
        named = {"by": presenter_of(parts).called(by)} if by else {}
        raise problems.illegal_action(illegal, **named) from illegal
    if done.why or done.link is None:
        return _refused(request, parts, done)
    say = text(locale_of(request, parts.site.locale))
    return _page(request, parts, done, heading=say(_DONE[done.link.action]))


def _looked(request: Request, parts: ApiParts, token: str) -> Looked:
    """What the link would do. Whoever tries links that are none is kept away for a while."""
    limit: FailureLimit = request.app.state.failures
    address, now_ms = f"link {request.client.host if request.client else '-'}", parts.clock()
    looked = _answering(parts).look(token, now_ms)
    if looked.link is None:  # a good link is let in whatever others behind the same address have tried
        if wait_ms := limit.wait_ms(address, now_ms):
            raise problems.too_many_failures(wait_ms / 1_000)
        limit.failed(address, now_ms)
    return looked


def _refused(request: Request, parts: ApiParts, looked: Looked) -> Response:
    say = text(locale_of(request, parts.site.locale))
    status, words = _TROUBLE[looked.why or "unknown"]
    clock = wall_clock(looked.used_at_ms or 0, parts.site.zone, "%H:%M:%S")
    heading = say(_("Nothing was done")) if looked.why != "used" else say(_("Done already"))
    return _page(request, parts, looked, status=status, heading=heading, trouble=say(words).format(clock=clock))


def _page(
    request: Request,
    parts: ApiParts,
    looked: Looked,
    *,
    heading: str,
    status: int = 200,
    button: str = "",
    reasons: list[str] | None = None,
    trouble: str = "",
) -> Response:
    locale = locale_of(request, parts.site.locale)
    alert = looked.alert
    what = who = ""
    if alert is not None and looked.why != "unknown":
        place, title = Name(zh=alert.place_zh, en=alert.place_en), Name(zh=alert.title_zh, en=alert.title_en)
        clock = wall_clock(alert.raised_at_ms, parts.site.zone, "%H:%M:%S")
        what = f"{alert.severity} · {place.in_(locale)} · {title.in_(locale)} · {clock}"
    if looked.actor is not None:
        known = parts.registry().stations.get(looked.actor.id) or parts.registry().people.get(looked.actor.id)
        who = known.name.in_(locale) if known is not None else ""
    page = render(
        request,
        "answer.html",
        parts,
        status,
        heading=heading,
        what=what,
        who=who,
        button=button,
        reasons=reasons or [],
        trouble=trouble,
        page=f"/alerts/{alert.id}" if alert is not None else "/",
    )
    page.headers["X-Robots-Tag"] = "noindex, nofollow"
    return page
