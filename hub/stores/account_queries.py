"""What the ledger knows of each alarm from its begin to its end, for those who ask whether every one is accounted for. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, or_, select

from hub.model.alerts import Alert
from hub.stores.alert_rows import alert_of
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit, cursors, deliveries, episodes, timers

_CHUNK = 500
_WAITING = ("queued", "sending")
_D = deliveries.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One notification, as far as it matters for the account."""

    transition: str
    recipient: str
    channel: str
    state: str
    created_at_ms: int
    due_at_ms: int
    attempts: int
    sent_at_ms: int | None
    accepted_at_ms: int | None
    read_at_ms: int | None
    receipt: str | None = field(repr=False)
    reason: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An alert with the times it fired in the period, its notifications and what climbs yet."""

    alert: Alert
    fired_at_ms: tuple[int, ...]
    told: tuple[Told, ...]
    timers: int
    gaps: int


class AccountQueries:
    """Thread-safe. Each method is one read transaction for each piece, and raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def fired(self, from_ms: int, to_ms: int, *, severities: Collection[str], test: bool = False) -> Iterator[Account]:
        """Every alert whose condition began to hold in [from, to), in the order of its first such time."""
        first = func.min(episodes.c.raised_at_ms)
        statement = (
            select(episodes.c.alert_id, first.label("first"))
            .join(alerts, alerts.c.id == episodes.c.alert_id)
            .where(episodes.c.raised_at_ms >= from_ms, episodes.c.raised_at_ms < to_ms)
            .where(alerts.c.severity.in_(sorted(severities)), alerts.c.test == test)
            .group_by(episodes.c.alert_id)
            .order_by(first, episodes.c.alert_id)
        )
        with self._ledger.read() as connection:
            ids = [row.alert_id for row in connection.execute(statement)]
        for start in range(0, len(ids), _CHUNK):
            yield from self._accounts(ids[start : start + _CHUNK], from_ms, to_ms)

    def live(self, severities: Collection[str]) -> Iterator[Account]:
        """Every live alert that is no test."""
        statement = select(alerts.c.id).where(alerts.c.live, ~alerts.c.test, alerts.c.severity.in_(sorted(severities)))
        with self._ledger.read() as connection:
            ids = list(connection.execute(statement.order_by(alerts.c.raised_at_ms, alerts.c.id)).scalars())
        for start in range(0, len(ids), _CHUNK):
            yield from self._accounts(ids[start : start + _CHUNK], 0, 1 << 62)

    def _accounts(self, ids: Sequence[str], from_ms: int, to_ms: int) -> list[Account]:
        with self._ledger.read() as connection:
            known = {row.id: alert_of(row) for row in connection.execute(select(alerts).where(alerts.c.id.in_(ids)))}
            fired = _by_alert(
                connection.execute(
                    select(episodes.c.alert_id, episodes.c.raised_at_ms)
                    .where(episodes.c.alert_id.in_(ids), episodes.c.id.not_like("chatter:%"))
                    .where(episodes.c.raised_at_ms >= from_ms, episodes.c.raised_at_ms < to_ms)
                    .order_by(episodes.c.raised_at_ms)
                ).all()
            )
            columns = [_D[name] for name in Told.__dataclass_fields__]
            told = _by_alert(
                connection.execute(select(_D.alert_id, *columns).where(_D.alert_id.in_(ids)).order_by(_D.id)).all()
            )
            # told in one message with others of its incident
            bundled = {a.incident_id for a in known.values() if a.incident_id and a.id not in told}
            digests = _by_alert(
                connection.execute(
                    select(alerts.c.incident_id, *columns)
                    .join(alerts, alerts.c.id == _D.alert_id)
                    .where(alerts.c.incident_id.in_(sorted(bundled)), _D.about.is_not(None))
                ).all()
                if bundled
                else []
            )
            pending = _counts(
                connection.execute(
                    select(timers.c.alert_id, func.count())
                    .where(timers.c.alert_id.in_(ids), timers.c.state == "pending")
                    .group_by(timers.c.alert_id)
                ).all()
            )
            gaps = _counts(
                connection.execute(
                    select(audit.c.alert_id, func.count())
                    .where(audit.c.alert_id.in_(ids), audit.c.action == "gap")
                    .group_by(audit.c.alert_id)
                ).all()
            )
        return [
            Account(
                alert=known[key],
                fired_at_ms=tuple(row[1] for row in fired.get(key, ())),
                told=tuple(
                    Told(**dict(zip(Told.__dataclass_fields__, row[1:], strict=True)))
                    for row in (told.get(key) or digests.get(known[key].incident_id or "", []))
                ),
                timers=pending.get(key, 0),
                gaps=gaps.get(key, 0),
            )
            for key in ids
            if key in known
        ]

    def has_episode(self, device: str, quantity: str, at_ms: int, *, grace_ms: int) -> bool:
        """Whether the ledger knows that a condition on `quantity` of `device` held at `at_ms`, or began within the grace after it."""
        held = or_(episodes.c.cleared_at_ms.is_(None), episodes.c.cleared_at_ms >= at_ms - grace_ms)
        statement = (
            select(episodes.c.id)
            .join(alerts, alerts.c.id == episodes.c.alert_id)
            .where(alerts.c.device_id == device, alerts.c.quantity == quantity, held)
            .where(episodes.c.raised_at_ms <= at_ms + grace_ms)
            .limit(1)
        )
        with self._ledger.read() as connection:
            return connection.execute(statement).first() is not None

    def overdue_timers(self, before_ms: int) -> list[tuple[str, int, int]]:
        """(alert, step, due) of escalation timers that should have run before `before_ms`, at most fifty."""
        statement = select(timers.c.alert_id, timers.c.step, timers.c.due_at_ms)
        statement = statement.where(timers.c.state == "pending", timers.c.due_at_ms < before_ms)
        with self._ledger.read() as connection:
            return [
                (a, step, due) for a, step, due in connection.execute(statement.order_by(timers.c.due_at_ms).limit(50))
            ]

    def stuck(self, before_ms: int) -> list[tuple[int, str, str, int]]:
        """(id, alert, channel, due) of notifications of P1 and P2 that nobody has touched since `before_ms`, at most fifty."""
        idle = or_(_D.lease_until_ms.is_(None), _D.lease_until_ms < before_ms)
        statement = select(_D.id, _D.alert_id, _D.channel, _D.due_at_ms).where(
            _D.state.in_(_WAITING), _D.severity.in_(("P1", "P2")), _D.due_at_ms < before_ms, idle
        )
        with self._ledger.read() as connection:
            return [(n, a, c, due) for n, a, c, due in connection.execute(statement.order_by(_D.due_at_ms).limit(50))]

    def cursor_moved_at_ms(self, consumer: str) -> int | None:
        """When `consumer` last said how far it has come; None when it never did."""
        statement = select(cursors.c.updated_at_ms).where(cursors.c.consumer == consumer)
        with self._ledger.read() as connection:
            return connection.execute(statement).scalar()

    def test_fires(self, from_ms: int, to_ms: int) -> list[tuple[int, str, str]]:
        """(when, action, detail as JSON) of the synthetic fires in [from, to)."""
        statement = select(audit.c.at_ms, audit.c.action, audit.c.detail).where(
            audit.c.action.in_(("test_fire", "test_fire_failed")), audit.c.at_ms >= from_ms, audit.c.at_ms < to_ms
        )
        with self._ledger.read() as connection:
            return [(at, action, detail) for at, action, detail in connection.execute(statement.order_by(audit.c.id))]

    def fire_reached(self, device: str, quantity: str, since_ms: int) -> tuple[str, list[Told]] | None:
        """The test alert of `device` that fired at `since_ms` or later, and the notifications that this caused; None = not yet."""
        mine = select(alerts).where(alerts.c.device_id == device, alerts.c.quantity == quantity, alerts.c.live)
        began = select(episodes.c.id).where(
            episodes.c.alert_id == alerts.c.id, episodes.c.raised_at_ms >= since_ms, episodes.c.cleared_at_ms.is_(None)
        )
        with self._ledger.read() as connection:
            row = connection.execute(mine.where(began.exists()).limit(1)).first()
            if row is None:
                return None
            columns = [_D[name] for name in Told.__dataclass_fields__]
            of_it = select(*columns).where(
                _D.alert_id == row.id, _D.created_at_ms >= since_ms, _D.transition.like("raised%")
            )
            return row.id, [Told(**r._mapping) for r in connection.execute(of_it)]


def _by_alert(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def _counts(rows: Sequence[Any]) -> dict[str, int]:
    return {row[0]: int(row[1]) for row in rows}
