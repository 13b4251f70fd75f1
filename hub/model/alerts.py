"""An alert as stored, and what people may do to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hub.model.rules import Severity

AlarmState = Literal["active_unacked", "active_acked", "returned_unacked", "latched", "normal"]
CaseState = Literal["reported", "accepted", "on_scene", "closed", "false_alarm"]
Action = Literal["acknowledge", "on_scene", "false_alarm", "reinforce", "close"]
ACTIONS: tuple[Action, ...] = ("acknowledge", "on_scene", "false_alarm", "reinforce", "close")
Role = Literal["viewer", "grid_worker", "station", "officer", "admin", "machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a person or machine with a role, limited to `grids` and `stations` (empty tuple = none, ("*",) = all)."""

    id: str
    name: str
    role: Role
    grids: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    via: str = "api"

    def may_see(self, grid: str, station: str) -> bool:
        """Whether this actor may read an alert, device or place of `grid` that `station` serves."""
        return "*" in self.grids or "*" in self.stations or grid in self.grids or station in self.stations


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Where a condition is, as the registry says at the moment of raising; copied into the alert."""

    device_kind: str = ""
    place: str = ""
    grid: str = ""
    station: str = ""
    place_zh: str = ""
    place_en: str = ""
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. Grid, station and rule texts are copied when it is raised: later changes of the registry do not move it.

    `id`, `episode_start_ms` and `raised_at_ms` are of the first occurrence and never change; `value`, `threshold`,
    `observed_at_ms` and `received_at_ms` are of the latest one.
    """

    id: str
    rule_id: str
    rule_version: str
    device_id: str
    device_kind: str
    severity: Severity
    alarm_state: AlarmState
    case_state: CaseState
    live: bool
    test: bool
    episode_start_ms: int
    raised_at_ms: int
    received_at_ms: int
    observed_at_ms: int
    quantity: str
    value: str  # JSON text of the value that raised it
    threshold: float | None
    place: str
    grid: str
    station: str
    title_zh: str
    title_en: str
    place_zh: str
    place_en: str
    action_zh: str
    action_en: str
    lat: float | None = None
    lon: float | None = None
    returned_at_ms: int | None = None
    acked_at_ms: int | None = None
    acked_by: str | None = None
    on_scene_at_ms: int | None = None
    on_scene_by: str | None = None
    closed_at_ms: int | None = None
    closed_by: str | None = None
    close_reason: str | None = None
    escalation_level: int = 0
    occurrences: int = 1
    last_event_ms: int = 0
    change: int = 0  # grows with every change of any alert; the live stream resumes from it
    position: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list. `next` is handed back as `before` to get the following page; None on the last one."""

    rows: list[Alert]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One entry of the append-only record. `from_state` and `to_state` are "<alarm state>/<case state>" or ""."""

    id: int
    alert_id: str | None
    at_ms: int
    actor: str  # "hub", a person id or "token:<name>"
    action: str
    from_state: str
    to_state: str
    detail: Mapping[str, Any]
