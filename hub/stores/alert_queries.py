"""What people and machines ask about alerts. Reads only."""

from __future__ import annotations

import builtins
import json
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, or_, select

from hub.model.alerts import Actor, Alert, AuditRow, Occurrence, Page
from hub.model.deliveries import DeliveryRow
from hub.model.readings import QuarantineRow
from hub.model.rules import SEVERITIES
from hub.stores.alert_rows import alert_of
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit, deliveries, episodes, quarantine

MOST_ROWS = 500

_AUDIT = tuple(audit.c[name] for name in AuditRow.__dataclass_fields__)
_DELIVERY = tuple(deliveries.c[name] for name in DeliveryRow.__dataclass_fields__)
_QUARANTINE = tuple(quarantine.c[name] for name in QuarantineRow.__dataclass_fields__)


class AlertQueries:
    """Thread-safe. Each method is one read transaction, waits for no writer, and raises `Unavailable` while the ledger is away.

    `scope` limits what is seen to the grids and stations of an actor; None sees all (the hub itself).
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(
        self,
        *,
        scope: Actor | None,
        live: bool | None = None,
        severity: str | None = None,
        station: str | None = None,
        grid: str | None = None,
        device: str | None = None,
        state: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        test: bool | None = None,
        text: str | None = None,
        incident: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Page:
        """Alerts by the time of their first raising, newest first; `since_ms` inclusive, `until_ms` exclusive.

        `grid` takes all grids whose code begins with it; `state` is an alarm state or a case state; `text` is looked for in
        titles, places, device and rule. `before` is the `next` of the page before: new alerts never shift pages, and no
        alert comes twice. Raises ValueError for a `before` that is no such mark.
        """
        limit = max(1, min(limit, MOST_ROWS))
        wanted = [*within(scope)]
        same = {"severity": severity, "station": station, "device_id": device, "incident_id": incident}
        for column, value in ((alerts.c[name], value) for name, value in same.items()):
            if value is not None:
                wanted.append(column == value)
        if live is not None:
            wanted.append(alerts.c.live if live else ~alerts.c.live)
        if test is not None:
            wanted.append(alerts.c.test if test else ~alerts.c.test)
        if grid is not None:
            wanted.append(alerts.c.grid.startswith(grid, autoescape=True))
        if state is not None:
            wanted.append(or_(alerts.c.alarm_state == state, alerts.c.case_state == state))
        if since_ms is not None:
            wanted.append(alerts.c.raised_at_ms >= since_ms)
        if until_ms is not None:
            wanted.append(alerts.c.raised_at_ms < until_ms)
        if text is not None and text.strip():
            wanted.append(_mentions(text.strip()))
        if before is not None:
            at_ms, alert_id = mark_of(before)
            wanted.append(
                or_(alerts.c.raised_at_ms < at_ms, (alerts.c.raised_at_ms == at_ms) & (alerts.c.id < alert_id))
            )
        statement = select(alerts).where(*wanted)
        rows = self._alerts(statement.order_by(alerts.c.raised_at_ms.desc(), alerts.c.id.desc()).limit(limit + 1))
        more = len(rows) > limit
        rows = rows[:limit]
        return Page(rows=rows, next=f"{rows[-1].raised_at_ms}-{rows[-1].id}" if more else None)

    def one(self, alert_id: str, *, scope: Actor | None = None) -> Alert | None:
        """The alert, or None when there is none (or none that `scope` may see)."""
        found = self._alerts(select(alerts).where(alerts.c.id == alert_id, *within(scope)))
        return found[0] if found else None

    def audit(self, alert_id: str) -> builtins.list[AuditRow]:
        """Everything that happened to the alert, oldest first."""
        with self._ledger.read() as connection:
            rows = connection.execute(select(*_AUDIT).where(audit.c.alert_id == alert_id).order_by(audit.c.id))
            return [_audit(row) for row in rows]

    def audit_since(self, after: int, limit: int) -> builtins.list[AuditRow]:
        """Entries with a number above `after`, in their order. Numbers have no gaps, and none appears late."""
        with self._ledger.read() as connection:
            rows = connection.execute(select(*_AUDIT).where(audit.c.id > after).order_by(audit.c.id).limit(limit))
            return [_audit(row) for row in rows]

    def occurrences(self, alert_id: str) -> builtins.list[Occurrence]:
        """Every time that the alert's condition began to hold, oldest first, with what the rule saw."""
        statement = select(
            episodes.c.id, episodes.c.start_ms, episodes.c.raised_at_ms, episodes.c.cleared_at_ms, episodes.c.evidence
        ).where(episodes.c.alert_id == alert_id, episodes.c.id.not_like("chatter:%"))
        with self._ledger.read() as connection:
            rows = connection.execute(statement.order_by(episodes.c.raised_at_ms, episodes.c.start_ms, episodes.c.id))
            return [Occurrence(**{**row._mapping, "evidence": json.loads(row.evidence or "{}")}) for row in rows]

    def deliveries(self, alert_id: str) -> builtins.list[DeliveryRow]:
        """Who was told about the alert and what became of it, in the order of planning; by itself or among others."""
        of_it = alerts.alias()
        fellows = select(alerts.c.id).join(of_it, of_it.c.incident_id == alerts.c.incident_id)
        among = deliveries.c.about.is_not(None) & deliveries.c.alert_id.in_(fellows.where(of_it.c.id == alert_id))
        statement = select(*_DELIVERY).where(or_(deliveries.c.alert_id == alert_id, among)).order_by(deliveries.c.id)
        with self._ledger.read() as connection:
            rows = [DeliveryRow(**row._mapping) for row in connection.execute(statement)]
        return [row for row in rows if row.about is None or alert_id in json.loads(row.about)["alerts"]]

    def changed_since(self, change: int, *, scope: Actor | None, limit: int = MOST_ROWS) -> builtins.list[Alert]:
        """Alerts that changed after `change`, each once in its present state, in the order of their last change."""
        statement = select(alerts).where(alerts.c.change > change, *within(scope))
        return self._alerts(statement.order_by(alerts.c.change).limit(limit))

    def last_change(self) -> int:
        """The newest change number; 0 when nothing ever happened."""
        with self._ledger.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())

    def open_counts(self, *, scope: Actor | None = None) -> dict[str, int]:
        """Live alerts by severity, the hub's own test fires not counted. Every severity is there."""
        statement = select(alerts.c.severity, func.count()).where(alerts.c.live, ~alerts.c.test, *within(scope))
        with self._ledger.read() as connection:
            found = dict(tuple(row) for row in connection.execute(statement.group_by(alerts.c.severity)))
        return {severity: int(found.get(severity, 0)) for severity in SEVERITIES}

    def quarantine(self, limit: int = 100) -> builtins.list[QuarantineRow]:
        """What was rejected, the latest first."""
        with self._ledger.read() as connection:
            rows = connection.execute(
                select(*_QUARANTINE).order_by(quarantine.c.last_at_ms.desc(), quarantine.c.id.desc()).limit(limit)
            )
            return [QuarantineRow(**row._mapping) for row in rows]

    def _alerts(self, statement: Select[Any]) -> builtins.list[Alert]:
        with self._ledger.read() as connection:
            return [alert_of(row) for row in connection.execute(statement)]


def within(scope: Actor | None) -> tuple[ColumnElement[bool], ...]:
    """`Actor.may_see` in SQL."""
    if scope is None or "*" in scope.grids or "*" in scope.stations:
        return ()
    return (or_(alerts.c.grid.in_(scope.grids), alerts.c.station.in_(scope.stations)),)


def _mentions(text: str) -> ColumnElement[bool]:
    columns = ("title_zh", "title_en", "place_zh", "place_en", "device_id", "rule_id")
    return or_(*(func.lower(alerts.c[name]).contains(text.lower(), autoescape=True) for name in columns))


def mark_of(before: str) -> tuple[int, str]:
    at_ms, dash, alert_id = before.partition("-")
    if not (dash and alert_id and at_ms.isascii() and at_ms.isdigit() and len(at_ms) < 19):
        raise ValueError(f"{before!r} is not a mark that a page of this list gave as 'next'")
    return int(at_ms), alert_id


def _audit(row: Row[Any]) -> AuditRow:
    return AuditRow(**{**row._mapping, "detail": json.loads(row.detail)})
