"""What the ledger knows of the hub's own work: fires that nobody is at, confirmed ones, false alarms, refusals, load. Reads only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Select, case, func, select

from hub.model.quantities import OWN
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit, commands, deliveries

_OWN = tuple(sorted(OWN))
_HEARTBEAT = "heartbeat"


class Beat(NamedTuple):
    """The heartbeat as the ledger has it: whether its alert is active, and when that last changed."""

    active: bool
    at_ms: int


class FactQueries:
    """Thread-safe. Each method is one read transaction, and raises `Unavailable` while the ledger is away.

    Alerts that follow from facts themselves are left out, or a fact would keep itself alive; so are the hub's own tests.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def unattended(self) -> list[tuple[str, int]]:
        """(device, when it was acknowledged) of every P1 that is still active, and nobody is on scene."""
        statement = select(alerts.c.device_id, alerts.c.acked_at_ms).where(
            *_fires(), alerts.c.alarm_state == "active_acked", alerts.c.on_scene_at_ms.is_(None)
        )
        return [(device, at_ms) for device, at_ms in self._rows(statement.where(alerts.c.acked_at_ms.is_not(None)))]

    def confirmed(self) -> frozenset[str]:
        """Devices of open P1 alerts for which somebody on scene has called for reinforcement."""
        called = select(audit.c.id).where(
            audit.c.alert_id == alerts.c.id, audit.c.action == "reinforce", audit.c.at_ms >= alerts.c.on_scene_at_ms
        )
        statement = select(alerts.c.device_id).where(*_fires(), alerts.c.on_scene_at_ms.is_not(None), called.exists())
        return frozenset(row[0] for row in self._rows(statement))

    def false_alarms(self, since_ms: int) -> dict[str, int]:
        """Device → alarms (P1, P2) that people closed as false at `since_ms` or later."""
        statement = select(alerts.c.device_id, func.count()).where(
            alerts.c.case_state == "false_alarm",
            alerts.c.closed_at_ms >= since_ms,
            alerts.c.severity.in_(("P1", "P2")),
            alerts.c.quantity.not_in(_OWN),
            ~alerts.c.test,
        )
        return {device: int(count) for device, count in self._rows(statement.group_by(alerts.c.device_id))}

    def refusals(self, since_ms: int) -> dict[str, int]:
        """Channel → tries that failed at `since_ms` or later and have not succeeded since. Older deliveries count once."""
        under_way = case((deliveries.c.state == "sending", 1), else_=0)
        times = case((deliveries.c.created_at_ms >= since_ms, deliveries.c.attempts - under_way), else_=1)
        waiting = deliveries.c.state.in_(("queued", "sending"))
        failed = deliveries.c.state == "failed"
        groups: dict[str, int] = {}
        for state in (waiting, failed):  # each by its own index
            statement = select(deliveries.c.channel, func.sum(times)).where(
                state, deliveries.c.sent_at_ms >= since_ms, deliveries.c.reason.is_not(None), deliveries.c.attempts > 0
            )
            for channel, count in self._rows(statement.group_by(deliveries.c.channel)):
                groups[channel] = groups.get(channel, 0) + int(count)
        return groups

    def told(self, since_ms: int) -> dict[str, int]:
        """Recipient (person or station) → alarms that it was told of since then; a message about several counts once."""
        news = deliveries.c.transition.like("raised%") | deliveries.c.transition.like("digest:%")
        joined = deliveries.join(alerts, alerts.c.id == deliveries.c.alert_id)
        count = func.count(func.distinct(deliveries.c.alert_id))
        statement = select(deliveries.c.recipient, count).select_from(joined)
        statement = statement.where(deliveries.c.created_at_ms >= since_ms, news, ~alerts.c.test)
        return {who: int(times) for who, times in self._rows(statement.group_by(deliveries.c.recipient))}

    def failed_commands(self, since_ms: int) -> frozenset[str]:
        """Devices whose latest real command (planned at `since_ms` or later) did not go out in time, or was not confirmed by a
        read-back, while the alarm that asked for it stands. What nobody approved was not meant to go.
        """
        meant = (commands.c.ground != "suspected") | commands.c.approved_by.is_not(None)
        silent = (commands.c.state == "unconfirmed") & commands.c.answer_by_ms.is_(None)  # has no read-back at all
        statement = select(commands.c.device_id, commands.c.quantity, commands.c.state, alerts.c.live).where(
            commands.c.planned_at_ms >= since_ms,
            commands.c.mode == "live",
            commands.c.state.in_(("sent", "confirmed", "unconfirmed", "expired")),
            commands.c.alert_id == alerts.c.id,
            meant,
            ~silent,
        )
        latest: dict[tuple[str, str], bool] = {}
        for device, quantity, state, live in self._rows(statement.order_by(commands.c.planned_at_ms, commands.c.id)):
            latest[device, quantity] = live and state in ("unconfirmed", "expired")
        return frozenset(device for (device, _), failed in latest.items() if failed)

    def standing(self, quantities: Collection[str]) -> list[tuple[str, str]]:
        """(device, quantity) of the alerts that are active because of one of these quantities."""
        statement = select(alerts.c.device_id, alerts.c.quantity).where(
            alerts.c.quantity.in_(sorted(quantities)), alerts.c.alarm_state.like("active%")
        )
        return [(device, quantity) for device, quantity in self._rows(statement)]

    def beat(self, device_id: str) -> Beat | None:
        """The heartbeat of the test device; None before its first beat."""
        statement = select(alerts.c.alarm_state, alerts.c.last_event_ms).where(
            alerts.c.device_id == device_id, alerts.c.quantity == _HEARTBEAT, alerts.c.test, alerts.c.live
        )
        rows = self._rows(statement.order_by(alerts.c.last_event_ms.desc()).limit(1))
        return next((Beat(state.startswith("active"), int(at_ms)) for state, at_ms in rows), None)

    def _rows(self, statement: Select[Any]) -> list[Any]:
        with self._ledger.read() as connection:
            return list(connection.execute(statement))


def _fires() -> tuple[Any, ...]:
    return (alerts.c.live, alerts.c.severity == "P1", ~alerts.c.test, alerts.c.quantity.not_in(_OWN))
