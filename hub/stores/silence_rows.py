"""The SQL of silences and drills."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from hub.model.alerts import Actor
from hub.model.silences import Silence
from hub.stores.alert_scope import scoped
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, silences

_OPEN = silences.c.ended_at_ms.is_(None)
_LISTS = ("covers", "device_kinds", "devices", "tell")


def standing(connection: Connection) -> list[Silence]:
    """Those that have not ended yet, also those that begin later; the oldest first."""
    return [_silence(row) for row in connection.execute(select(silences).where(_OPEN).order_by(silences.c.id))]


def one(connection: Connection, silence_id: int) -> Silence | None:
    row = connection.execute(select(silences).where(silences.c.id == silence_id)).first()
    return None if row is None else _silence(row)


def add(connection: Connection, silence: Mapping[str, Any]) -> int:
    row = {key: json.dumps(list(value)) if key in _LISTS else value for key, value in silence.items()}
    number = connection.execute(insert(silences).values(**row).returning(silences.c.id)).scalar_one()
    return int(number)


def end(connection: Connection, silence_id: int, who: str, now_ms: int) -> bool:
    """Ends it before its time, and what it caught is due to be told again. Whether it stood."""
    over = update(silences).where(silences.c.id == silence_id, _OPEN, silences.c.end_ms > now_ms)
    if not connection.execute(over.values(ended_at_ms=now_ms, ended_by=who)).rowcount:
        return False
    mine = update(alerts).where(alerts.c.live, alerts.c.silence_id == silence_id, alerts.c.quiet_until_ms > now_ms)
    connection.execute(mine.values(quiet_until_ms=now_ms))
    return True


def sweep(connection: Connection, now_ms: int) -> None:
    """Notes the end of those whose time is over."""
    over = update(silences).where(_OPEN, silences.c.end_ms <= now_ms)
    connection.execute(over.values(ended_at_ms=silences.c.end_ms, ended_by="hub"))


def kept_until(connection: Connection, now_ms: int, limit: int) -> list[str]:
    """Ids of open alerts whose silence or drill is over: by what the alerts say, so that none is forgotten whoever raced whom."""
    statement = select(alerts.c.id).where(
        alerts.c.live,
        alerts.c.quiet_until_ms <= now_ms,
        or_(alerts.c.quiet == "silenced", and_(alerts.c.quiet == "", alerts.c.drill)),
    )
    return list(connection.execute(statement.order_by(alerts.c.quiet_until_ms, alerts.c.id).limit(limit)).scalars())


def over(connection: Connection, now_ms: int) -> bool:
    """Whether one is over whose end is not noted yet."""
    statement = select(silences.c.id).where(_OPEN, silences.c.end_ms <= now_ms).limit(1)
    return connection.execute(statement).first() is not None


class SilenceQueries:
    """Reads for people. Thread-safe; raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def all(
        self, *, over_too: bool = False, limit: int = 200, wanted: Callable[[Silence], bool] = lambda _: True
    ) -> list[Silence]:
        """Those `wanted` that stand, on request also those that are over; the latest first, at most `limit`."""
        statement = select(silences).order_by(silences.c.id.desc())
        with self._ledger.read() as connection:
            rows = connection.execute(statement if over_too else statement.where(_OPEN))
            return list(islice(filter(wanted, map(_silence, rows)), limit))

    def one(self, silence_id: int) -> Silence | None:
        with self._ledger.read() as connection:
            return one(connection, silence_id)

    def caught(self, silence_id: int, *, scope: Actor | None = None) -> int:
        """How many alerts that `scope` may see were raised in it."""
        mine = scoped(scope, alerts.c.grid, alerts.c.station)
        statement = select(func.count()).select_from(alerts).where(alerts.c.silence_id == silence_id, *mine)
        with self._ledger.read() as connection:
            return int(connection.execute(statement).scalar_one())


def _silence(row: Row[Any]) -> Silence:
    found: dict[str, Any] = {field.name: row._mapping[field.name] for field in fields(Silence)}
    found |= {key: tuple(json.loads(found[key])) for key in _LISTS}
    return Silence(**found)
