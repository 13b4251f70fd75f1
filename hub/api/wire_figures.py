"""The API's shapes of figures. A ratio or mean of nothing is null."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from hub.api.wire import Text, Wire
from hub.model.rules import Severity


class AnsweredOut(Wire):
    """Alerts of one severity: mean time to acknowledge (from the latest alarm) and to close (from the first), in seconds."""

    severity: Severity
    alerts: int
    share: float | None = Field(description="Of all alerts of the span")
    acknowledged: int
    mtta_s: float | None
    slowest_ack_s: float | None
    closed: int
    mttr_s: float | None


class LimitOut(Wire):
    """One limit of 1-3-5 for P1: how many alarms had to keep it, how many did."""

    limit_s: int
    due: int
    kept: int
    ratio: float | None


class CasesOut(Wire):
    """Cases of one source ("" = all). `closed_ratio` 办结率: closed of those filed; `on_time_ratio` 按期办结率: closed by their limit,
    of those whose limit has passed or that are closed; `due_closed_ratio` 应结案办结率: closed at all, of the same.
    """

    source: str
    received: int
    false_alarms: int
    filed: int
    closed: int
    closed_ratio: float | None
    due: int
    due_closed: int
    due_closed_ratio: float | None
    on_time: int
    on_time_ratio: float | None
    self_handled: int
    transferred: int


class LoadOut(Wire):
    """Alarms that one person or station was told of. Average and share over all ten minutes of the span."""

    recipient: str
    name: Text
    alarms: int
    per_10_min: float
    busiest_10_min: int
    floods: int
    in_flood: float = Field(description="Share of the span; more than 10 alarms in 10 minutes, until fewer than 5")


class FiguresOut(Wire):
    """Figures of a span of time, without tests and drills."""

    since: datetime
    since_ms: int
    until: datetime
    until_ms: int
    alerts: int
    answered: list[AnsweredOut]
    acknowledged_in_time: LimitOut
    on_scene_in_time: LimitOut
    joint_in_time: LimitOut
    cases: list[CasesOut]
    all_cases: CasesOut
    false_alarms: int
    detectors: int
    false_alarms_per_detector_year: float | None
    false_alarm_level: str | None = Field(description="green up to 1/50, amber up to 1/20, else red")
    load: list[LoadOut]
    stale: int = Field(description="Open alerts whose condition has held for more than 24 h, now")
    chattering: int = Field(description="Open alerts that flap, now")
    began_to_flap: int
    ten_sources_share: float | None = Field(description="Of all alarms, those of the ten most frequent sources")
