"""What makes noise: alerts that stand for long, sources that flap or alarm often, and what became of their alarms. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, case, func, select

from hub.model.alerts import Actor, Alert
from hub.stores.alert_queries import within
from hub.stores.alert_rows import alert_of
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, episodes

DAY_MS = 86_400_000
MOST_STALE = 500
_HEARTBEAT = "heartbeat"
_CHATTER = "chatter:%"
_TEST = "test:%"


class Verdicts(NamedTuple):
    """What became of the alerts of one rule on one device. `real`: closed by a person after somebody was on scene."""

    rule_id: str
    device_id: str
    device_kind: str
    severity: str
    false: int
    real: int
    undecided: int


class Times(NamedTuple):
    """How often one rule did something on one device."""

    rule_id: str
    device_id: str
    times: int


class NoiseQueries:
    """Thread-safe. Each method is one read transaction, and raises `Unavailable` while the ledger is away.

    `scope` limits what is seen to the grids and stations of an actor; None sees all. The hub's own tests are left out.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def stale(self, now_ms: int, *, scope: Actor | None, over_ms: int = DAY_MS, limit: int = MOST_STALE) -> list[Alert]:
        """Open alerts whose condition has held for more than `over_ms` (counted from the latest raising), the oldest first."""
        statement = select(alerts).where(*_standing(now_ms - over_ms), *within(scope))
        statement = statement.order_by(alerts.c.received_at_ms, alerts.c.id).limit(limit)
        return [alert_of(row) for row in self._rows(statement)]

    def stale_count(self, now_ms: int, *, over_ms: int = DAY_MS) -> int:
        """How many `stale` would find without a limit."""
        return int(self._rows(select(func.count()).where(*_standing(now_ms - over_ms)))[0][0])

    def chattering(self, *, scope: Actor | None) -> list[Alert]:
        """Open alerts whose condition flaps now, the latest first."""
        statement = select(alerts).where(alerts.c.live, alerts.c.chattering, ~alerts.c.test, *within(scope))
        return [alert_of(row) for row in self._rows(statement.order_by(alerts.c.last_event_ms.desc(), alerts.c.id))]

    def verdicts(self, since_ms: int, *, scope: Actor | None) -> list[Verdicts]:
        """By rule and device, for alerts first raised at `since_ms` or later."""
        false = alerts.c.case_state == "false_alarm"
        real = (alerts.c.case_state == "closed") & alerts.c.on_scene_at_ms.is_not(None)
        group = (alerts.c.rule_id, alerts.c.device_id, alerts.c.device_kind, alerts.c.severity)
        statement = select(*group, _count(false), _count(real), _count(~false & ~real))
        statement = statement.where(alerts.c.raised_at_ms >= since_ms, ~alerts.c.test, *within(scope))
        return [Verdicts._make(row) for row in self._rows(statement.group_by(*group))]

    def tests(self, since_ms: int) -> list[Times]:
        """Pressed test buttons and the hub's own test fires (not its heartbeat), by rule and device. Of the whole site."""
        pressed = select(episodes.c.rule_id, episodes.c.device_id, func.count()).where(
            episodes.c.raised_at_ms >= since_ms, episodes.c.id.like(_TEST)
        )
        fired = select(alerts.c.rule_id, alerts.c.device_id, func.sum(alerts.c.occurrences)).where(
            alerts.c.raised_at_ms >= since_ms, alerts.c.test, alerts.c.quantity != _HEARTBEAT
        )
        rows = self._rows(pressed.group_by(episodes.c.rule_id, episodes.c.device_id))
        rows += self._rows(fired.group_by(alerts.c.rule_id, alerts.c.device_id))
        return _times(rows)

    def sources(self, since_ms: int, *, scope: Actor | None, limit: int = 10) -> tuple[list[Times], int]:
        """The (rule, device) pairs that alarmed most often since then, and how often all of them alarmed together."""
        group = (episodes.c.rule_id, episodes.c.device_id)
        joined = episodes.join(alerts, alerts.c.id == episodes.c.alert_id)
        wanted = (
            episodes.c.raised_at_ms >= since_ms,
            episodes.c.id.not_like(_CHATTER),
            ~alerts.c.test,
            *within(scope),
        )
        total = self._rows(select(func.count()).select_from(joined).where(*wanted))[0][0]
        most = select(*group, func.count().label("times")).select_from(joined).where(*wanted).group_by(*group)
        rows = self._rows(most.order_by(func.count().desc(), *group).limit(limit))
        return _times(rows), int(total)

    def flapped(self, since_ms: int, *, scope: Actor | None) -> list[Times]:
        """How often each rule began to flap on a device since then, the most frequent first."""
        group = (episodes.c.rule_id, episodes.c.device_id)
        statement = select(*group, func.count()).select_from(
            episodes.join(alerts, alerts.c.id == episodes.c.alert_id, isouter=scope is None)
        )
        statement = statement.where(episodes.c.raised_at_ms >= since_ms, episodes.c.id.like(_CHATTER), *within(scope))
        return _times(self._rows(statement.group_by(*group).order_by(func.count().desc(), *group)))

    def _rows(self, statement: Select[Any]) -> list[Row[Any]]:
        with self._ledger.read() as connection:
            return list(connection.execute(statement))


def _standing(before_ms: int) -> tuple[ColumnElement[bool], ...]:
    return (
        alerts.c.live,
        ~alerts.c.test,
        alerts.c.alarm_state.in_(("active_unacked", "active_acked")),
        alerts.c.received_at_ms <= before_ms,
    )


def _count(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((which, 1), else_=0))


def _times(rows: Iterable[Iterable[Any]]) -> list[Times]:
    return [Times(rule_id, device_id, int(times)) for rule_id, device_id, times in rows]
