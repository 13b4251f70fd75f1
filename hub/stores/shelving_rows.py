"""The SQL of shelvings: which conditions and devices tell nobody for a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from hub.model.alerts import Actor, Alert, Shelving
from hub.stores.alert_scope import scoped
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, shelvings

_OPEN = shelvings.c.ended_at_ms.is_(None)
_CHUNK = 500


def open_of(connection: Connection, device_ids: Iterable[str]) -> dict[tuple[str, str], Shelving]:
    """The shelvings of these devices that have not ended, by (device, rule); rule "" is the whole device."""
    statement = select(shelvings).where(_OPEN, shelvings.c.device_id.in_(bindparam("ids", expanding=True)))
    wanted = sorted(set(device_ids))
    found: dict[tuple[str, str], Shelving] = {}
    for start in range(0, len(wanted), _CHUNK):
        rows = connection.execute(statement, {"ids": wanted[start : start + _CHUNK]})
        found |= {(row.device_id, row.rule_id): _shelving(row) for row in rows}
    return found


def due(connection: Connection, now_ms: int, limit: int) -> list[Shelving]:
    """Shelvings whose time is over. Takes no lock: alerts are locked first, and `end` ends each once."""
    statement = select(shelvings).where(_OPEN, shelvings.c.until_ms <= now_ms)
    statement = statement.order_by(shelvings.c.until_ms, shelvings.c.id).limit(limit)
    return [_shelving(row) for row in connection.execute(statement)]


def add(connection: Connection, shelving: Mapping[str, Any]) -> None:
    connection.execute(insert(shelvings), [dict(shelving)])


def end(connection: Connection, ended: Mapping[int, str], now_ms: int) -> None:
    for key, who in sorted(ended.items()):
        over = update(shelvings).where(shelvings.c.id == key, _OPEN)
        connection.execute(over.values(ended_at_ms=now_ms, ended_by=who))


def quiet_alerts(connection: Connection, shelving: Shelving) -> list[str]:
    """Ids of the open alerts that are quiet because of `shelving`."""
    quiet = "shelved" if shelving.rule_id else "out_of_service"
    statement = select(alerts.c.id).where(
        alerts.c.live, alerts.c.device_id == shelving.device_id, alerts.c.quiet == quiet
    )
    if shelving.rule_id:
        statement = statement.where(alerts.c.rule_id == shelving.rule_id)
    return list(connection.execute(statement.order_by(alerts.c.id)).scalars())


def live_alerts(connection: Connection, device_id: str) -> list[str]:
    """Ids of the open alerts of a device."""
    statement = select(alerts.c.id).where(alerts.c.live, alerts.c.device_id == device_id)
    return list(connection.execute(statement.order_by(alerts.c.id)).scalars())


class Shelvings:
    """Reads for people. Thread-safe; raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def all(self, *, scope: Actor | None, open_only: bool = True, limit: int = 200) -> list[Shelving]:
        """What is shelved or out of service, the latest first."""
        statement = select(shelvings).where(*scoped(scope, shelvings.c.grid, shelvings.c.station))
        if open_only:
            statement = statement.where(_OPEN)
        statement = statement.order_by(shelvings.c.since_ms.desc(), shelvings.c.id.desc()).limit(limit)
        with self._ledger.read() as connection:
            return [_shelving(row) for row in connection.execute(statement)]

    def of_alert(self, alert: Alert) -> Shelving | None:
        """What keeps `alert` quiet; None when nothing does."""
        statement = select(shelvings).where(
            _OPEN,
            shelvings.c.device_id == alert.device_id,
            or_(shelvings.c.rule_id == alert.rule_id, shelvings.c.rule_id == ""),
        )
        with self._ledger.read() as connection:
            found = [_shelving(row) for row in connection.execute(statement)]
        kinds = ("out_of_service",) if alert.quiet == "out_of_service" else ("one_shot", "timed")
        return next((one for one in found if one.kind in kinds), None) if alert.quiet else None


def _shelving(row: Row[Any]) -> Shelving:
    return Shelving(**row._mapping)
