"""What the ledger recorded about one rule and device at a time: what fired, and messages that nobody could be found for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select

from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, episodes, quarantine

_UNKNOWN = "unknown device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One time that a rule fired. `ended_ms` None: it lasts. `reason`: why its alert was closed, "" while it is not."""

    alert_id: str
    device_id: str
    raised_ms: int
    ended_ms: int | None
    closed_ms: int | None
    closed_by: str
    reason: str
    chattering: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Messages of a device that the hub did not know then."""

    count: int
    first_ms: int
    last_ms: int


class RecordQueries:
    """Thread-safe. Raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def fired(self, rule_id: str, devices: Sequence[str], from_ms: int, to_ms: int) -> list[Recorded]:
        """When the rule fired for any of `devices` and lasted at some time of [from_ms, to_ms], oldest first."""
        wanted = (
            episodes.c.rule_id == rule_id,
            episodes.c.device_id.in_(devices),
            episodes.c.raised_at_ms <= to_ms,
            or_(episodes.c.cleared_at_ms.is_(None), episodes.c.cleared_at_ms >= from_ms),
            episodes.c.id.not_like("chatter:%"),
        )
        columns = (episodes.c.raised_at_ms, episodes.c.cleared_at_ms, episodes.c.device_id)
        of_alert = (alerts.c.id, alerts.c.closed_at_ms, alerts.c.closed_by, alerts.c.close_reason, alerts.c.chattering)
        statement = select(*columns, *of_alert).join(alerts, alerts.c.id == episodes.c.alert_id).where(*wanted)
        with self._ledger.read() as connection:
            rows = connection.execute(statement.order_by(episodes.c.raised_at_ms, episodes.c.id)).all()
        return [
            Recorded(
                alert_id=row.id,
                device_id=row.device_id,
                raised_ms=row.raised_at_ms,
                ended_ms=row.cleared_at_ms,
                closed_ms=row.closed_at_ms,
                closed_by=row.closed_by or "",
                reason=row.close_reason or "",
                chattering=bool(row.chattering),
            )
            for row in rows
        ]

    def set_aside(self, addresses: Sequence[str], from_ms: int, to_ms: int) -> SetAside | None:
        """What came from `addresses` while they were of no known device, at some time of [from_ms, to_ms]."""
        figures = (func.sum(quarantine.c.count), func.min(quarantine.c.first_at_ms), func.max(quarantine.c.last_at_ms))
        statement = select(*figures).where(
            quarantine.c.reason == _UNKNOWN,
            quarantine.c.address.in_(addresses),
            quarantine.c.first_at_ms <= to_ms,
            quarantine.c.last_at_ms >= from_ms,
        )
        with self._ledger.read() as connection:
            count, first, last = connection.execute(statement).one()
        return SetAside(count=int(count), first_ms=int(first), last_ms=int(last)) if count else None
