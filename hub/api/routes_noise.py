"""What makes noise: alerts that stand for long, and who raises false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from hub.alerts.ranking import By, Ranked, ranking
from hub.api.auth import Caller, Parts
from hub.api.present import Presenter
from hub.api.routes_alerts import presenter_of
from hub.api.wire import InstantIn, Text, instant, ms_of
from hub.api.wire_noise import RankedOut, RankingOut, SourceOut, StaleAlert
from hub.stores.noise_queries import DAY_MS, Times

router = APIRouter(prefix="/alerts", tags=["alerts"])

YEAR_MS = 365 * DAY_MS
_HOUR_MS = 3_600_000


@router.get(
    "/stale", response_model=list[StaleAlert], summary="Alerts whose condition has held for long, the oldest first"
)
def stale(
    parts: Parts,
    caller: Caller,
    hours: Annotated[float, Query(ge=0, le=100_000, description="Held for more than so many hours")] = 24,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> list[StaleAlert]:
    now_ms, present = parts.clock(), presenter_of(parts)
    rows = parts.noise.stale(now_ms, scope=caller, over_ms=int(hours * _HOUR_MS), limit=limit)
    return [
        StaleAlert.model_construct(**present.alert_fields(alert), held_s=max(now_ms - alert.received_at_ms, 0) // 1_000)
        for alert in rows
    ]


@router.get("/ranking", response_model=RankingOut, summary="False alarms, and the sources that alarm most often")
def rank(
    parts: Parts,
    caller: Caller,
    by: Annotated[By, Query(description="device, building or rule")] = "device",
    since: Annotated[InstantIn | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Rows of the ranking")] = 50,
) -> RankingOut:
    """Counts alerts first raised since then (default: a year ago)."""
    now_ms, present = parts.clock(), presenter_of(parts)
    asked_ms = ms_of(since)
    since_ms = now_ms - YEAR_MS if asked_ms is None else min(asked_ms, now_ms)
    noise = parts.noise
    verdicts = noise.verdicts(since_ms, scope=caller)
    found = ranking(
        verdicts, noise.tests(since_ms), parts.registry(), by=by, since_ms=since_ms, now_ms=now_ms, scope=caller
    )
    sources, alarms = noise.sources(since_ms, scope=caller)
    return RankingOut.model_construct(
        by=by,
        since=instant(since_ms, present.zone),
        since_ms=since_ms,
        until_ms=now_ms,
        years=found.years,
        total=_ranked(present, by, found.total),
        rows=[_ranked(present, by, row) for row in found.rows[:limit]],
        alarms=alarms,
        sources=_sources(present, sources, alarms),
        flapped=_sources(present, noise.flapped(since_ms, scope=caller)[:limit], 0),
        chattering=[present.alert(alert) for alert in noise.chattering(scope=caller)],
    )


def _ranked(present: Presenter, by: By, row: Ranked) -> RankedOut:
    return RankedOut.model_construct(
        key=row.key,
        name=_called(present, by, row.key),
        false=row.false,
        real=row.real,
        undecided=row.undecided,
        test=row.test,
        detectors=row.detectors,
        rate=row.rate,
        level=row.level,
    )


def _called(present: Presenter, by: By, key: str) -> Text:
    if by == "device" and key:
        return present.device_name(key)
    return present.place(key) if by == "building" and key else Text(zh=key, en=key)


def _sources(present: Presenter, sources: Sequence[Times], of_all: int) -> list[SourceOut]:
    return [
        SourceOut.model_construct(
            rule_id=source.rule_id,
            device_id=source.device_id,
            device_name=present.device_name(source.device_id),
            times=source.times,
            share=source.times / of_all if of_all else None,
        )
        for source in sources
    ]
