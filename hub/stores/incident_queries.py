"""What people and machines ask about incidents. Reads only."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, or_, select

from hub.model.alerts import Actor, Incident
from hub.stores.alert_queries import MOST_ROWS, mark_of
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, incidents

_COLUMNS = tuple(column.name for column in incidents.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """One page of incidents, each with how many of its alerts are open. `next` is the cursor of the following page."""

    rows: list[tuple[Incident, int]]
    next: str | None = None


class IncidentQueries:
    """Thread-safe. Each method is one read transaction, and raises `Unavailable` while the ledger is away.

    `scope` limits what is seen to the grids and stations of an actor; None sees all.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(
        self, *, scope: Actor | None, live: bool | None = None, limit: int = 50, before: str | None = None
    ) -> IncidentPage:
        """Incidents by the time of their opening, newest first. Raises ValueError for a `before` that no page gave."""
        limit = max(1, min(limit, MOST_ROWS))
        statement = _with_open_alerts(scope)
        if live is not None:
            statement = statement.where(incidents.c.live if live else ~incidents.c.live)
        if before is not None:
            at_ms, incident = mark_of(before)
            earlier = (incidents.c.opened_at_ms == at_ms) & (incidents.c.id < incident)
            statement = statement.where(or_(incidents.c.opened_at_ms < at_ms, earlier))
        statement = statement.order_by(incidents.c.opened_at_ms.desc(), incidents.c.id.desc()).limit(limit + 1)
        rows = self._read(statement)
        last = rows[limit - 1][0] if len(rows) > limit else None
        return IncidentPage(rows=rows[:limit], next=f"{last.opened_at_ms}-{last.id}" if last else None)

    def one(self, incident_id: str, *, scope: Actor | None = None) -> tuple[Incident, int] | None:
        """The incident and how many of its alerts are open; None when there is none (or none that `scope` may see)."""
        found = self._read(_with_open_alerts(scope).where(incidents.c.id == incident_id))
        return found[0] if found else None

    def _read(self, statement: Select[Any]) -> builtins.list[tuple[Incident, int]]:
        with self._ledger.read() as connection:
            rows = connection.execute(statement).all()
        return [(Incident(**{name: row._mapping[name] for name in _COLUMNS}), int(row.open)) for row in rows]


def _with_open_alerts(scope: Actor | None) -> Select[Any]:
    count = select(func.count()).where(alerts.c.incident_id == incidents.c.id, alerts.c.live).scalar_subquery()
    statement = select(incidents, count.label("open"))
    if scope is not None and "*" not in scope.grids and "*" not in scope.stations:
        statement = statement.where(or_(incidents.c.grid.in_(scope.grids), incidents.c.station.in_(scope.stations)))
    return statement
