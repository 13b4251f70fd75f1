"""How well alarms are answered and what they ask of people, counted over a span of time. Reads only.

Tests and drills are left out everywhere. What each figure means: docs/figures.md.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Executable, and_, case, func, or_, select

from hub.model.alerts import Actor
from hub.stores.alert_queries import within
from hub.stores.alert_scope import scoped
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit, cases, deliveries

TEN_MIN_MS: Final = 600_000
ACK_MS: Final = 60_000
SCENE_MS: Final = 180_000
JOINT_MS: Final = 300_000


class Span(NamedTuple):
    """From `since_ms` (inclusive) to `until_ms` (exclusive), as known at `now_ms`."""

    since_ms: int
    until_ms: int
    now_ms: int


class Answered(NamedTuple):
    """Alerts of one severity that were raised in the span. Sums in ms, over those that were answered or closed so far."""

    severity: str
    alerts: int
    acked: int
    ack_ms: int
    closed: int
    close_ms: int
    slowest_ack_ms: int


class Attained(NamedTuple):
    """P1 alerts against a limit: how many had to keep it by now, and how many did."""

    due: int
    kept: int


class Handled(NamedTuple):
    """Cases of one source that were opened in the span. `filed`: all but false alarms; `due`: filed ones with a limit that has
    passed, or that are closed; `on_time`: closed by their limit.
    """

    source: str
    received: int
    false: int
    filed: int
    closed: int
    due: int
    due_closed: int
    on_time: int
    own: int
    transferred: int


class Told(NamedTuple):
    """How many alarms one person or station was told of within one ten minutes; `slot` counts them from 1970."""

    recipient: str
    slot: int
    alarms: int


class FigureQueries:
    """Thread-safe. Each method is one read transaction, and raises `Unavailable` while the ledger is away.

    `scope` limits what is counted to the grids and stations of an actor; None counts all.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def answered(self, span: Span, *, scope: Actor | None) -> list[Answered]:
        """By severity: to the acknowledgement from the latest alarm (an older answer was none), to the close from the first."""
        took = _not_negative(alerts.c.acked_at_ms - alerts.c.received_at_ms)
        closing = _not_negative(alerts.c.closed_at_ms - alerts.c.raised_at_ms)
        acked, closed = alerts.c.acked_at_ms.is_not(None), alerts.c.closed_at_ms.is_not(None)
        statement = select(
            alerts.c.severity,
            func.count(),
            _sum(acked, 1),
            _sum(acked, took),
            _sum(closed, 1),
            _sum(closed, closing),
            func.coalesce(func.max(case((acked, took), else_=0)), 0),
        ).where(*_raised_in(span), *within(scope))
        return [
            Answered._make((row[0], *map(int, row[1:]))) for row in self._rows(statement.group_by(alerts.c.severity))
        ]

    def attained(self, span: Span, *, scope: Actor | None) -> tuple[Attained, Attained, Attained]:
        """The 1-3-5 of P1: acknowledged within 60 s; somebody on scene within 180 s; a second person there within 300 s.

        An alarm that was over before a limit passed needed nobody on scene by then, and does not count for that limit.
        """
        since = alerts.c.received_at_ms
        second = (
            select(func.min(audit.c.at_ms))
            .where(
                audit.c.alert_id == alerts.c.id,
                audit.c.action.in_(("on_scene", "on_scene_again")),
                audit.c.actor != alerts.c.on_scene_by,
                audit.c.at_ms >= since,
            )
            .scalar_subquery()
        )
        p1 = (alerts.c.severity == "P1", *_raised_in(span), *within(scope))
        inner = select(
            since.label("since"),
            alerts.c.acked_at_ms.label("acked"),
            alerts.c.on_scene_at_ms.label("scene"),
            case((alerts.c.on_scene_at_ms.is_not(None), second)).label("second"),
            alerts.c.closed_at_ms.label("closed"),
        ).where(*p1)
        one = inner.subquery()
        columns: list[ColumnElement[int]] = []
        for moment, limit_ms in ((one.c.acked, ACK_MS), (one.c.scene, SCENE_MS), (one.c.second, JOINT_MS)):
            kept = and_(moment.is_not(None), moment - one.c.since <= limit_ms)
            over = and_(one.c.closed.is_not(None), one.c.closed - one.c.since < limit_ms)
            passed = span.now_ms - one.c.since > limit_ms
            due = or_(kept, passed) if limit_ms == ACK_MS else or_(kept, and_(passed, ~over))
            columns += [_sum(due, 1), _sum(kept, 1)]
        found = [int(value) for value in self._rows(select(*columns))[0]]
        return Attained(*found[0:2]), Attained(*found[2:4]), Attained(*found[4:6])

    def handled(self, span: Span, *, scope: Actor | None) -> list[Handled]:
        """办结率 and 按期办结率, by source of the case."""
        false = cases.c.step == "false_alarm"
        closed = and_(cases.c.step == "closed", cases.c.closed_at_ms.is_not(None))
        limited = cases.c.due_at_ms.is_not(None)
        due = and_(~false, limited, or_(cases.c.due_at_ms <= span.now_ms, closed))
        on_time = and_(~false, limited, closed, cases.c.closed_at_ms <= cases.c.due_at_ms)
        statement = (
            select(
                cases.c.source,
                func.count(),
                _sum(false, 1),
                _sum(~false, 1),
                _sum(closed, 1),
                _sum(due, 1),
                _sum(and_(due, closed), 1),
                _sum(on_time, 1),
                _sum(and_(closed, cases.c.handling == "self"), 1),
                _sum(and_(closed, cases.c.handling == "transferred"), 1),
            )
            .select_from(cases.outerjoin(alerts, alerts.c.id == cases.c.alert_id))
            .where(
                cases.c.opened_at_ms >= span.since_ms,
                cases.c.opened_at_ms < span.until_ms,
                or_(alerts.c.id.is_(None), and_(~alerts.c.test, ~alerts.c.drill)),
                *scoped(scope, cases.c.grid, cases.c.station),
            )
            .group_by(cases.c.source)
            .order_by(cases.c.source)
        )
        return [Handled._make((row[0], *map(int, row[1:]))) for row in self._rows(statement)]

    def told(self, span: Span, *, scope: Actor | None) -> list[Told]:
        """Alarms that each recipient was told of, by ten minutes; a message about several counts once, repetitions do not."""
        slot = deliveries.c.created_at_ms // TEN_MIN_MS
        news = or_(deliveries.c.transition.like("raised%"), deliveries.c.transition.like("digest:%"))
        statement = (
            select(deliveries.c.recipient, slot, func.count(func.distinct(deliveries.c.alert_id)))
            .select_from(deliveries.join(alerts, alerts.c.id == deliveries.c.alert_id))
            .where(
                deliveries.c.created_at_ms >= span.since_ms,
                deliveries.c.created_at_ms < span.until_ms,
                news,
                ~alerts.c.test,
                ~alerts.c.drill,
                *within(scope),
            )
            .group_by(deliveries.c.recipient, slot)
            .order_by(deliveries.c.recipient, slot)
        )
        return [Told(who, int(at), int(count)) for who, at, count in self._rows(statement)]

    def standing(self, now_ms: int, *, scope: Actor | None, over_ms: int) -> tuple[int, int]:
        """Open alerts whose condition has held for longer than `over_ms`, and those that flap now."""
        active = alerts.c.alarm_state.in_(("active_unacked", "active_acked"))
        stale = and_(active, alerts.c.received_at_ms <= now_ms - over_ms)
        statement = select(_sum(stale, 1), _sum(alerts.c.chattering, 1))
        row = self._rows(statement.where(alerts.c.live, ~alerts.c.test, ~alerts.c.drill, *within(scope)))[0]
        return int(row[0]), int(row[1])

    def _rows(self, statement: Executable) -> list[Any]:
        with self._ledger.read() as connection:
            return list(connection.execute(statement))


def _raised_in(span: Span) -> tuple[ColumnElement[bool], ...]:
    return (
        alerts.c.raised_at_ms >= span.since_ms,
        alerts.c.raised_at_ms < span.until_ms,
        ~alerts.c.test,
        ~alerts.c.drill,
    )


def _sum(which: ColumnElement[bool], value: Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((which, value), else_=0)), 0)


def _not_negative(difference: ColumnElement[int]) -> ColumnElement[int]:
    return case((difference < 0, 0), else_=difference)
