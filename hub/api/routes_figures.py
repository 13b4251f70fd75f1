"""Figures: how well alarms are answered, how cases are closed, what the alarms ask of people. As JSON, and as metrics."""

from __future__ import annotations

import threading
from typing import Annotated, Final

from fastapi import APIRouter, Query
from prometheus_client import Gauge

from hub.alerts.figures import loads, mean_s, ratio, slots_in, split
from hub.alerts.ranking import ranking
from hub.api import problems
from hub.api.auth import Caller, Parts
from hub.api.parts import ApiParts
from hub.api.problems import Wrong
from hub.api.routes_alerts import presenter_of
from hub.api.wire import InstantIn, Line, Text, instant, ms_of
from hub.api.wire_figures import AnsweredOut, CasesOut, FiguresOut, LimitOut, LoadOut
from hub.errors import Unavailable
from hub.i18n import _
from hub.model.alerts import Actor
from hub.model.rules import SEVERITIES
from hub.stores.figure_queries import (
    ACK_MS,
    JOINT_MS,
    SCENE_MS,
    TEN_MIN_MS,
    Attained,
    FigureQueries,
    Handled,
    Span,
)
from hub.stores.noise_queries import DAY_MS
from hub.telemetry import (
    ALERTS_CHATTERING,
    ALERTS_SHARE,
    CASES_CLOSED,
    CASES_ON_TIME,
    FALSE_ALARM_RATE,
    LIMIT_KEPT,
    MTTA,
    MTTR,
    PERSON_ALARMS,
    PERSON_FLOOD,
    log,
)

router = APIRouter(tags=["figures"])

LONGEST_MS: Final = 400 * DAY_MS
WINDOWS: Final = {"24h": DAY_MS, "30d": 30 * DAY_MS}
_FRESH_MS: Final = 60_000
_NAN: Final = float("nan")
_OF_WINDOWS: Final = (
    MTTA, MTTR, ALERTS_SHARE, LIMIT_KEPT, CASES_CLOSED, CASES_ON_TIME, PERSON_ALARMS, PERSON_FLOOD,
)  # fmt: skip


@router.get("/figures", response_model=FiguresOut, summary="How well alarms are answered, and what they ask of people")
def figures(
    parts: Parts,
    caller: Caller,
    since: Annotated[InstantIn | None, Query(description="Default: 30 days before the end")] = None,
    until: Annotated[InstantIn | None, Query(description="Default: now")] = None,
    grid: Annotated[Line | None, Query(description="Only grids whose code begins with it")] = None,
) -> FiguresOut:
    now_ms, present = parts.clock(), presenter_of(parts)
    begin_ms, end_ms = ms_of(since), ms_of(until)
    until_ms = now_ms if end_ms is None else min(end_ms, now_ms)
    since_ms = until_ms - WINDOWS["30d"] if begin_ms is None else begin_ms
    if not since_ms < until_ms:
        raise problems.bad_request([Wrong("query.since", _("must lie before the end"))])
    if until_ms - since_ms > LONGEST_MS:
        raise problems.bad_request([Wrong("query.since", _("at most 400 days at once"))])
    scope = caller if grid is None else _only(parts, caller, grid)
    queries, span = _queries(parts), Span(since_ms, until_ms, now_ms)
    by_severity = {row.severity: row for row in queries.answered(span, scope=scope)}
    shares = split({severity: row.alerts for severity, row in by_severity.items()})
    acked, scene, joint = queries.attained(span, scope=scope)
    handled = queries.handled(span, scope=scope)
    noise = parts.noise
    verdicts = noise.verdicts(since_ms, scope=scope)
    found = ranking(verdicts, [], parts.registry(), by="device", since_ms=since_ms, now_ms=now_ms, scope=scope).total
    sources, alarms = noise.sources(since_ms, scope=scope)
    stale, chattering = queries.standing(now_ms, scope=scope, over_ms=DAY_MS)
    told = loads(queries.told(span, scope=scope), slots_in(since_ms, until_ms, TEN_MIN_MS))
    return FiguresOut.model_construct(
        since=instant(since_ms, present.zone),
        since_ms=since_ms,
        until=instant(until_ms, present.zone),
        until_ms=until_ms,
        alerts=sum(row.alerts for row in by_severity.values()),
        answered=[
            AnsweredOut.model_construct(
                severity=severity,
                alerts=row.alerts,
                share=shares[severity],
                acknowledged=row.acked,
                mtta_s=mean_s(row.ack_ms, row.acked),
                slowest_ack_s=mean_s(row.slowest_ack_ms, 1) if row.acked else None,
                closed=row.closed,
                mttr_s=mean_s(row.close_ms, row.closed),
            )
            for severity in SEVERITIES
            if (row := by_severity.get(severity)) is not None
        ],
        acknowledged_in_time=_limit(ACK_MS, acked),
        on_scene_in_time=_limit(SCENE_MS, scene),
        joint_in_time=_limit(JOINT_MS, joint),
        cases=[_cases(row) for row in handled],
        all_cases=_cases(_together(handled)),
        false_alarms=found.false,
        detectors=found.detectors,
        false_alarms_per_detector_year=found.rate,
        false_alarm_level=found.level,
        load=[
            LoadOut.model_construct(
                recipient=one.recipient,
                name=_called(parts, one.recipient),
                alarms=one.alarms,
                per_10_min=one.average,
                busiest_10_min=one.busiest,
                floods=one.floods,
                in_flood=one.in_flood,
            )
            for one in told[:200]
        ],
        stale=stale,
        chattering=chattering,
        began_to_flap=sum(one.times for one in noise.flapped(since_ms, scope=scope)),
        ten_sources_share=ratio(sum(one.times for one in sources), alarms),
    )


def _queries(parts: ApiParts) -> FigureQueries:
    if parts.figures is None:
        raise problems.no_such(_("This process has no figures."))
    return parts.figures


def _called(parts: ApiParts, who: str) -> Text:
    registry = parts.registry()
    named = registry.people.get(who) or registry.stations.get(who)
    return Text(zh=named.name.zh, en=named.name.en) if named is not None else Text(zh=who, en=who)


def _only(parts: ApiParts, caller: Actor, grid: str) -> Actor:
    """The caller, limited to the grids whose code begins with `grid`."""
    registry = parts.registry()
    mine = [
        code
        for code in registry.grids
        if code.startswith(grid) and caller.may_see(code, registry.station_of_grid.get(code, ""))
    ]
    if not mine:
        raise problems.bad_request([problems.unknown("query.grid", grid, registry.station_of_grid)])
    return Actor(id=caller.id, name=caller.name, role=caller.role, grids=tuple(mine))


def _limit(limit_ms: int, found: Attained) -> LimitOut:
    return LimitOut(limit_s=limit_ms // 1_000, due=found.due, kept=found.kept, ratio=ratio(found.kept, found.due))


def _cases(row: Handled) -> CasesOut:
    return CasesOut.model_construct(
        source=row.source,
        received=row.received,
        false_alarms=row.false,
        filed=row.filed,
        closed=row.closed,
        closed_ratio=ratio(row.closed, row.filed),
        due=row.due,
        due_closed=row.due_closed,
        due_closed_ratio=ratio(row.due_closed, row.due),
        on_time=row.on_time,
        on_time_ratio=ratio(row.on_time, row.due),
        self_handled=row.own,
        transferred=row.transferred,
    )


def _together(rows: list[Handled]) -> Handled:
    return Handled("", *(sum(row[n] for row in rows) for n in range(1, len(Handled._fields))))  # type: ignore[misc]


# -- metrics ----------------------------------------------------------------------------------------------------------


class Gauges:
    """Puts the figures of the whole site into the metrics, at most once a minute: a scraper may ask every second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_ms: int | None = None

    def renew(self, parts: ApiParts) -> None:
        """Never raises `Unavailable`: figures that cannot be had are shown as NaN, for an old one would look like a good one."""
        if parts.figures is None:
            return
        now_ms = parts.clock()
        with self._lock:
            if self._at_ms is not None and 0 <= now_ms - self._at_ms < _FRESH_MS:
                return
            self._at_ms = now_ms
            try:
                for window, length_ms in WINDOWS.items():
                    _set(parts, parts.figures, window, Span(now_ms - length_ms, now_ms, now_ms))
                _set_standing(parts, parts.figures, now_ms)
            except Unavailable as away:
                log.warning("figures.no_ledger", reason=str(away))
                self._at_ms = None
                for gauge in _OF_WINDOWS:
                    gauge.clear()
                FALSE_ALARM_RATE.set(_NAN)
                ALERTS_CHATTERING.set(_NAN)


def _set(parts: ApiParts, queries: FigureQueries, window: str, span: Span) -> None:
    answered = {row.severity: row for row in queries.answered(span, scope=None)}
    shares = split({severity: row.alerts for severity, row in answered.items()})
    for severity in SEVERITIES:
        row = answered.get(severity)
        _put(MTTA.labels(window, severity), mean_s(row.ack_ms, row.acked) if row else None)
        _put(MTTR.labels(window, severity), mean_s(row.close_ms, row.closed) if row else None)
        _put(ALERTS_SHARE.labels(window, severity), shares[severity])
    for limit, found in zip(("acknowledge", "on_scene", "joint"), queries.attained(span, scope=None), strict=True):
        _put(LIMIT_KEPT.labels(window, limit), ratio(found.kept, found.due))
    whole = _together(queries.handled(span, scope=None))
    _put(CASES_CLOSED.labels(window), ratio(whole.closed, whole.filed))
    _put(CASES_ON_TIME.labels(window), ratio(whole.on_time, whole.due))
    if window != "24h":
        return  # who was told of what over a month takes a second to count
    told = loads(queries.told(span, scope=None), slots_in(span.since_ms, span.until_ms, TEN_MIN_MS))
    PERSON_ALARMS.labels(window, "average").set(max((one.average for one in told), default=0.0))
    PERSON_ALARMS.labels(window, "busiest").set(max((one.busiest for one in told), default=0))
    PERSON_FLOOD.labels(window).set(max((one.in_flood for one in told), default=0.0))


def _set_standing(parts: ApiParts, queries: FigureQueries, now_ms: int) -> None:
    since_ms = now_ms - 365 * DAY_MS
    verdicts = parts.noise.verdicts(since_ms, scope=None)
    found = ranking(verdicts, [], parts.registry(), by="device", since_ms=since_ms, now_ms=now_ms)
    _put(FALSE_ALARM_RATE, found.total.rate)
    ALERTS_CHATTERING.set(queries.standing(now_ms, scope=None, over_ms=DAY_MS)[1])


def _put(gauge: Gauge, value: float | None) -> None:
    gauge.set(_NAN if value is None else value)
