"""Whether every alarm is accounted for: what the self-audit saw last, the report for a time, the audit log's chain."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from hub.api import problems
from hub.api.auth import Parts, RulesReader
from hub.api.wire import InstantIn, ms_of
from hub.audit.render import rendered
from hub.audit.report import collect
from hub.i18n import _
from hub.model.alerts import Actor

router = APIRouter(prefix="/audit", tags=["audit"])
_DAY_MS = 86_400_000
_MOST_DAYS = 92
_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "text": "text/plain; charset=utf-8",
}
_FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "text/csv": {}, "text/html": {}, "text/plain": {}}},
    **problems.described(422),
}


def _everywhere(caller: Actor) -> None:
    if "*" not in (*caller.grids, *caller.stations):
        raise problems.not_everywhere()


@router.get("", summary="What the self-audit of this hub saw last")
def last(parts: Parts, caller: RulesReader) -> dict[str, Any]:
    _everywhere(caller)
    audited = parts.audited()
    if audited is None:
        return {"looked": False, "good": None, "findings": []}
    return {
        "looked": True,
        "at_ms": audited.at_ms,
        "good": audited.good,
        "checked": dict(audited.checked),
        "findings": [{"kind": f.kind, "subject": f.subject, "detail": f.detail} for f in audited.findings],
        "head": None if audited.head is None else {"number": audited.head.number, "hash": audited.head.hash},
    }


@router.get(
    "/report", summary="Every alarm of a time with what became of it", response_class=Response, responses=_FORMS
)
def report(
    parts: Parts,
    caller: RulesReader,
    since: Annotated[InstantIn | None, Query(description="A day ago when left out")] = None,
    until: Annotated[InstantIn | None, Query(description="Now when left out; at most 92 days after `since`")] = None,
    format: Annotated[Literal["json", "csv", "html", "text"], Query()] = "json",
    lang: Annotated[Literal["zh-CN", "en"], Query()] = "zh-CN",
) -> Response:
    _everywhere(caller)
    now_ms = parts.clock()
    to_ms = min(max(ms_of(until) or now_ms, _DAY_MS), now_ms)
    from_ms = min(max(ms_of(since) or to_ms - _DAY_MS, 0), to_ms)
    if parts.proof is None:
        raise problems.no_such(_("There is no report here."))
    found = collect(
        parts.proof.queries,
        parts.proof.log,
        site=parts.site.name,
        zone=parts.site.zone,
        from_ms=max(from_ms, to_ms - _MOST_DAYS * _DAY_MS),
        to_ms=to_ms,
        now_ms=now_ms,
    )
    return Response(rendered(found, format, lang), media_type=_TYPES[format])
