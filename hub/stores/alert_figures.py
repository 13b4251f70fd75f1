"""Counts over live alerts, for charts and lists."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from hub.stores.ledger import Ledger
from hub.stores.schema import alerts


class AlertFigures:
    """Thread-safe. Raises `Unavailable` while the ledger is away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def live_devices(self, rule_ids: Sequence[str]) -> frozenset[str]:
        """Ids of devices on which one of `rule_ids` is active now (not merely unacknowledged)."""
        with self._ledger.read() as connection:
            rows = connection.execute(
                select(alerts.c.device_id).where(
                    alerts.c.live, alerts.c.rule_id.in_(rule_ids), alerts.c.alarm_state.like("active%")
                )
            )
            return frozenset(row[0] for row in rows)

    def open_by_grid(self) -> dict[str, dict[str, int]]:
        """Grid code → severity → number of live alerts that are no tests."""
        with self._ledger.read() as connection:
            rows = connection.execute(
                select(alerts.c.grid, alerts.c.severity, func.count())
                .where(alerts.c.live, alerts.c.test.is_(False))
                .group_by(alerts.c.grid, alerts.c.severity)
            )
            found: dict[str, dict[str, int]] = {}
            for grid, severity, count in rows:
                found.setdefault(grid, {})[severity] = count
            return found
