"""Duty checks (查岗): when a station was asked whether somebody is at their post, and when it answered."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Row, func, select, update

from hub.stores.alert_rows import upsert
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, duty_checks


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyCheck:
    """One check of one station; it is unanswered when `due_at_ms` has passed without an answer."""

    id: int
    station: str
    alert_id: str
    asked_at_ms: int
    due_at_ms: int
    asked_by: str
    answered_at_ms: int | None = None
    answered_by: str | None = None


class DutyChecks:
    """Thread-safe; raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, **row: Any) -> bool:
        """Notes that a station was asked; once for each moment. Whether it was news."""
        with self._ledger.begin() as connection:
            return bool(connection.execute(upsert(connection, duty_checks).on_conflict_do_nothing(), [row]).rowcount)

    def latest(self) -> dict[str, DutyCheck]:
        """The last check of each station."""
        last = select(func.max(duty_checks.c.id)).group_by(duty_checks.c.station).scalar_subquery()
        with self._ledger.read() as connection:
            rows = connection.execute(select(duty_checks).where(duty_checks.c.id.in_(last)))
            return {row.station: _check(row) for row in rows}

    def of(self, station: str, limit: int = 50) -> list[DutyCheck]:
        """The checks of a station, the latest first."""
        statement = select(duty_checks).where(duty_checks.c.station == station)
        with self._ledger.read() as connection:
            return [_check(r) for r in connection.execute(statement.order_by(duty_checks.c.id.desc()).limit(limit))]

    def take_answers(self) -> list[DutyCheck]:
        """Notes the answers that came as acknowledgements of the checks' alerts. Gives those that were news.

        Who has asked does not answer for the station.
        """
        statement = (
            select(duty_checks, alerts.c.acked_at_ms, alerts.c.acked_by)
            .join(alerts, alerts.c.id == duty_checks.c.alert_id)
            .where(
                duty_checks.c.answered_at_ms.is_(None),
                alerts.c.acked_at_ms.is_not(None),
                alerts.c.acked_by != duty_checks.c.asked_by,
            )
        )
        with self._ledger.read() as connection:
            found = connection.execute(statement).all()
        for row in found:
            answered = update(duty_checks).where(duty_checks.c.id == row.id)
            with self._ledger.begin() as connection:
                connection.execute(answered.values(answered_at_ms=row.acked_at_ms, answered_by=row.acked_by))
        return [_check(row) for row in found]


def _check(row: Row[Any]) -> DutyCheck:
    return DutyCheck(**{field.name: row._mapping[field.name] for field in fields(DutyCheck)})
