"""An alert as stored, and what people may do to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from hub.model.rules import Severity

AlarmState = Literal["active_unacked", "active_acked", "returned_unacked", "latched", "normal"]
CaseState = Literal["reported", "accepted", "on_scene", "closed", "false_alarm"]
Action = Literal["acknowledge", "on_scene", "false_alarm", "reinforce", "close"]
ACTIONS: tuple[Action, ...] = ("acknowledge", "on_scene", "false_alarm", "reinforce", "close")
Quiet = Literal["", "shelved", "out_of_service", "silenced"]
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
class Seen:
    """What somebody had before their eyes when they answered: which occurrence of an alert, and how severe it was.

    `severity` None: not said. An answer to an earlier occurrence, or to a lower severity, is no answer to the present one.
    """

    occurrence: int
    severity: Severity | None = None


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
    building: str = ""  # code of the building; not copied, it groups alerts into incidents


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
    chattering: bool = False  # the condition flaps: it ends only after a minute of quiet
    incident_id: str | None = None
    bundled_until_ms: int | None = (
        None  # told at that time, in one message with others of its incident; None = told by itself
    )

    quiet: Quiet = ""  # tells nobody for a time: shelved, silenced, or its device is out of service
    quiet_until_ms: int | None = None
    silence_id: int | None = None  # the silence or drill in which it was raised
    drill: bool = False  # 演练: told to the list of the drill only
    drill_to: str = ""  # that list: ids of people and stations, by commas

    @property
    def is_lead(self) -> bool:
        """Whether this alert opened its incident."""
        return self.incident_id == incident_id(self.id)


def incident_id(first_alert: str) -> str:
    """Deterministic identity of the incident that the alert `first_alert` opens."""
    return blake2b(f"incident:{first_alert}".encode(), digest_size=10).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Alerts of P3 or P4 with one cause (rule) at one place (building, else grid) that came soon after each other.

    `window_at_ms` is when its present window began; what comes while a window runs is told in one message at
    `digest_due_ms`. `digests` were sent so far. `alerts` counts every alert that joined.
    """

    id: str
    rule_id: str
    place: str
    grid: str
    station: str
    severity: Severity
    title_zh: str
    title_en: str
    first_alert: str
    opened_at_ms: int
    last_at_ms: int
    window_at_ms: int
    alerts: int = 1
    digests: int = 0
    digest_due_ms: int | None = None
    live: bool = True
    closed_at_ms: int | None = None


ShelvingKind = Literal["one_shot", "timed", "out_of_service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelving:
    """A condition (`rule_id` of a device), or a whole device (`rule_id` ""), that tells nobody until `until_ms`.

    One shot: until the condition ends, at the longest until then.
    """

    id: int
    kind: ShelvingKind
    rule_id: str
    device_id: str
    grid: str
    station: str
    since_ms: int
    until_ms: int
    actor: str
    actor_name: str
    reason: str
    ended_at_ms: int | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that an alert's condition began to hold, and what the rule saw then (`evidence`, as JSON)."""

    id: str
    start_ms: int
    raised_at_ms: int
    cleared_at_ms: int | None
    evidence: Mapping[str, Any]


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
