"""What every history store promises, and which readings belong in a history at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hub.model.alerts import AlarmState, Alert, CaseState
from hub.model.places import Device, Place
from hub.model.quantities import QUANTITIES, spoken
from hub.model.readings import Quality, ReadingBatch
from hub.telemetry import HISTORY_SKIPPED

FIGURES = ("devices", "silent", "open_p1", "open_p2", "open_p3", "open_p4")
"""The numbers of a grid that `write_grid_status` keeps and `grid_series` reads back."""

CASE_CODES: dict[CaseState, int] = {"reported": 0, "accepted": 1, "on_scene": 2, "closed": 3, "false_alarm": 4}
ALARM_CODES: dict[AlarmState, int] = {
    "normal": 0,
    "active_unacked": 1,
    "active_acked": 2,
    "returned_unacked": 3,
    "latched": 4,
}
"""Codes are stored for good: add at the end, never renumber. docs/grafana.md lists them."""


class Directory(Protocol):
    """What a history needs to know of the registry. `version` changes whenever anything in it does."""

    @property
    def version(self) -> str: ...
    @property
    def active(self) -> NDArray[np.bool_]: ...
    @property
    def ids(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...
    def device(self, slot: int) -> Device: ...
    def path(self, place_code: str) -> tuple[Place, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestValue:
    """The newest known value of one quantity of one device; `value` None = reported as unknown."""

    device: str
    quantity: str
    value: float | bool | str | None
    unit: str
    observed_at_ms: int
    received_at_ms: int
    quality: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One stored value as the number that travels in a batch (switch 0/1, state = its index)."""

    at_ms: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One audit row of an alert, for charts. `sequence` is the audit row's id: it keeps events of one millisecond apart."""

    sequence: int
    at_ms: int
    alert_id: str
    rule: str
    action: str
    community: str
    grid: str
    device: str
    kind: str
    severity: str
    case_state: CaseState
    alarm_state: AlarmState
    live: bool
    value: float | None
    msg: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GridStatus:
    """The state of one grid at a minute."""

    at_ms: int
    community: str
    grid: str
    name: str
    devices: int
    silent: int
    open_p1: int = 0
    open_p2: int = 0
    open_p3: int = 0
    open_p4: int = 0


class HistoryStore(Protocol):
    """Keeps readings for charts. It stands on its own cursor: the same batch may come again, and nothing may be lost.

    `write…` raise `Unavailable` when the store is away; then the caller keeps its place and brings the same rows again.
    After a normal return everything is durable, or named as refused in the log and counted. Safe from several threads.
    """

    def write(self, batch: ReadingBatch, registry: Directory) -> None: ...
    def write_alerts(self, rows: Sequence[AlertEvent]) -> None: ...
    def write_grid_status(self, rows: Sequence[GridStatus]) -> None: ...
    def latest(self, device_id: str) -> list[LatestValue]: ...
    def series(self, device_id: str, quantity: str, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        """The newest `limit` points of from_ms <= time < to_ms, oldest first."""
        ...

    def grid_series(self, grid: str, figure: str, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        """As `series`, for one of `FIGURES` of a grid."""
        ...

    def ping(self) -> bool: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Screened:
    """The rows of a batch that belong in a history. Unknown values (NaN) are among them: `latest` must show them."""

    batch: ReadingBatch
    skipped: Mapping[str, int]

    def count(self) -> None:
        """Adds what was left out to the metrics; once per batch, after it was written."""
        for reason, rows in self.skipped.items():
            HISTORY_SKIPPED.labels(reason=reason).inc(rows)


_NOT_REAL = int(Quality.TEST | Quality.DUPLICATE)


def screened(batch: ReadingBatch, registry: Directory) -> Screened:
    """Leaves out repeated readings, test readings (they are no measurement) and devices that the registry has retired."""
    active = registry.active
    inside = (batch.slot >= 0) & (batch.slot < len(active))
    real = (batch.quality & _NOT_REAL) == 0
    wanted = inside & real
    wanted[wanted] = active[batch.slot[wanted]]
    if wanted.all():
        return Screened(batch, {})
    skipped: Counter[str] = Counter()
    test = (batch.quality & int(Quality.TEST)) != 0
    skipped["test"] = int(test.sum())
    skipped["duplicate"] = int((~real & ~test).sum())
    skipped["retired"] = int((real & ~wanted).sum())
    return Screened(batch.take(wanted), {reason: rows for reason, rows in skipped.items() if rows})


def levels(registry: Directory, place_code: str) -> dict[str, str]:
    """Level → code of the places from the root down to `place_code`."""
    return {place.level: place.code for place in registry.path(place_code)}


def alert_event(
    alert: Alert, registry: Directory, *, sequence: int, at_ms: int, action: str, to_state: str = ""
) -> AlertEvent:
    """The event of one audit row. `to_state` are the states that this row led to, "alarm/case"; else those of `alert` now."""
    alarm, _, case = to_state.partition("/")
    alarm_state: AlarmState = alarm if alarm in ALARM_CODES else alert.alarm_state
    case_state: CaseState = case if case in CASE_CODES else alert.case_state
    return AlertEvent(
        sequence=sequence,
        at_ms=at_ms,
        alert_id=alert.id,
        rule=alert.rule_id,
        action=action,
        community=(levels(registry, alert.place) or levels(registry, alert.grid)).get("community", ""),
        grid=alert.grid,
        device=alert.device_id,
        kind=alert.device_kind,
        severity=alert.severity,
        case_state=case_state,
        alarm_state=alarm_state,
        live=alert.live,
        value=_number(alert.value),
        msg=f"{alert.title_zh} / {alert.title_en}",
        place=f"{alert.place_zh} / {alert.place_en}",
    )


def _number(text: str) -> float | None:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    return float(value) if isinstance(value, int | float) else None


def latest_value(
    device: str, quantity: str, value: float | None, observed_at_ms: int, received_at_ms: int, quality: int
) -> LatestValue:
    """A stored row as it is shown: with its unit, and the words of switches and states."""
    known = QUANTITIES.get(quantity)
    shown: float | bool | str | None = value
    if known is not None and value is not None:
        shown = spoken(known, value)
    return LatestValue(
        device=device,
        quantity=quantity,
        value=shown,
        unit="" if known is None else known.unit,
        observed_at_ms=observed_at_ms,
        received_at_ms=received_at_ms,
        quality=quality,
    )
