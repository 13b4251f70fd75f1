"""The desk's SQL for incidents: reads them under row locks, writes them, and closes those whose last alert ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.model.alerts import Alert, Incident
from hub.stores.schema import alerts, incidents

_COLUMNS = tuple(column.name for column in incidents.columns)
_UPDATE = update(incidents).where(incidents.c.id == bindparam("key"))


def latest_open(connection: Connection, rule_id: str, place: str) -> Incident | None:
    """The latest open incident of `rule_id` at `place`, its row locked until the end of the transaction."""
    statement = select(incidents).where(incidents.c.live, incidents.c.rule_id == rule_id, incidents.c.place == place)
    statement = statement.order_by(incidents.c.opened_at_ms.desc(), incidents.c.id).limit(1)
    return next(map(incident_of, connection.execute(statement.with_for_update())), None)


def by_id(connection: Connection, incident_id: str) -> Incident | None:
    """The incident, its row locked until the end of the transaction."""
    statement = select(incidents).where(incidents.c.id == incident_id)
    return next(map(incident_of, connection.execute(statement.with_for_update())), None)


def due(connection: Connection, now_ms: int, limit: int) -> list[Incident]:
    """Incidents whose digest is due, their rows locked. What somebody else has locked is left to them."""
    statement = select(incidents).where(incidents.c.digest_due_ms <= now_ms)
    statement = statement.order_by(incidents.c.digest_due_ms, incidents.c.id).limit(limit)
    return list(map(incident_of, connection.execute(statement.with_for_update(skip_locked=True))))


def bundled(connection: Connection, incident: Incident) -> list[Alert]:
    """The open alerts that the due digest of `incident` tells of, oldest first."""
    statement = select(alerts).where(
        alerts.c.incident_id == incident.id, alerts.c.live, alerts.c.bundled_until_ms == incident.digest_due_ms
    )
    rows = connection.execute(statement.order_by(alerts.c.raised_at_ms, alerts.c.id))
    return [Alert(**row._mapping) for row in rows]


def lock(connection: Connection, ids: Collection[str]) -> None:
    """Locks these rows. Before audit rows are numbered, never after: else two writers could wait for each other."""
    if ids:
        statement = select(incidents.c.id).where(incidents.c.id.in_(sorted(ids))).order_by(incidents.c.id)
        connection.execute(statement.with_for_update()).all()


def write(
    connection: Connection, known: Mapping[str, Incident], *, new: Collection[str], changed: Collection[str]
) -> None:
    inserted = [_row(known[key]) for key in sorted(new)]
    updated = [{"key": key, **_row(known[key])} for key in sorted(set(changed) - set(new))]
    if inserted:  # one that is there already (from a ledger put back) must not stop an alarm
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(incidents).on_conflict_do_nothing(), inserted)
    if updated:
        connection.execute(_UPDATE, updated)


def close_ended(connection: Connection, ids: Collection[str], now_ms: int) -> None:
    """Closes those of these incidents that have no open alert left."""
    if not ids:
        return
    still_open = select(alerts.c.id).where(alerts.c.incident_id == incidents.c.id, alerts.c.live).exists()
    over = update(incidents).where(incidents.c.id.in_(sorted(ids)), incidents.c.live, ~still_open)
    connection.execute(over.values(live=False, closed_at_ms=now_ms, digest_due_ms=None))


def incident_of(row: Row[Any]) -> Incident:
    return Incident(**row._mapping)


def _row(incident: Incident) -> dict[str, Any]:
    return {name: getattr(incident, name) for name in _COLUMNS}
