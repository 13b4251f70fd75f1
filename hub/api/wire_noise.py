"""The API's shapes of incidents and of what makes noise."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from hub.api.wire import AlertOut, GridRef, StationRef, Text, Wire
from hub.model.rules import Severity


class IncidentOut(Wire):
    """Alerts of P3 or P4 of one rule at one place (building, else grid) that came soon after each other."""

    id: str
    rule_id: str
    title: Text
    place: Text
    place_code: str
    grid: GridRef
    station: StationRef
    severity: Severity
    live: bool
    alerts: int = Field(description="How many alerts joined it")
    open_alerts: int
    first_alert: str
    opened_at: datetime
    opened_at_ms: int
    last_at_ms: int
    next_message_at_ms: int | None = Field(description="When those that wait are told in one message")
    messages: int = Field(description="How many such messages were planned so far, for each receiver")
    closed_at_ms: int | None


class IncidentDetail(IncidentOut):
    """An incident with its alerts, newest first (at most 200; the list of alerts pages through all)."""

    members: list[AlertOut]


class StaleAlert(AlertOut):
    """An alert whose condition has held for long; `held_s` since its latest raising."""

    held_s: int


class RankedOut(Wire):
    """What became of the alarms of one device, building or rule. Tests are counted apart.

    `rate`: confirmed false fire alarms for each detector and year. `level`: green up to 1/50, amber up to 1/20, else red.
    """

    key: str
    name: Text
    false: int
    real: int = Field(description="Closed by a person after somebody was on scene")
    undecided: int = Field(description="Open, or closed without anybody on scene")
    test: int
    detectors: int
    rate: float | None
    level: Literal["green", "amber", "red"] | None


class SourceOut(Wire):
    """How often one rule did something on one device."""

    rule_id: str
    device_id: str
    device_name: Text
    times: int
    share: float | None = Field(description="Of all that happened in the time, 0 to 1")


class RankingOut(Wire):
    """Who makes the noise since a time: false alarms by device, building or rule, and the most frequent sources of all alarms."""

    by: Literal["device", "building", "rule"]
    since: datetime
    since_ms: int
    until_ms: int
    years: float
    total: RankedOut
    rows: list[RankedOut]
    alarms: int
    sources: list[SourceOut]
    flapped: list[SourceOut]
    chattering: list[AlertOut]
