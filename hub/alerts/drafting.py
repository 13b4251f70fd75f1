"""Drafts on a sheet what an alert change brings with it: audit entry, planned deliveries and timers, cancellations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hub.alerts.incidents import is_withheld
from hub.alerts.lifecycle import HUB, both, settled
from hub.model.alerts import Alert
from hub.model.deliveries import Plan, Planner
from hub.stores.alert_rows import Cancel, Entry, Sheet
from hub.stores.outbox import new_row
from hub.telemetry import LOOP_ERRORS, log

_ACKNOWLEDGED = ("unacknowledged",)
_ON_SCENE = ("unacknowledged", "not_on_scene")
_CLOSED = ("unacknowledged", "not_on_scene", "live")


class Draft:
    """One transaction's sheet and the planner. Not thread-safe; made anew for every try of the transaction."""

    def __init__(self, planner: Planner, now_ms: int) -> None:
        self.sheet = Sheet()
        self.planner = planner
        self.now_ms = now_ms

    def change(self, before: Alert | None, after: Alert, at_ms: int, actor: str, action: str, **detail: Any) -> None:
        """Takes the changed alert with its audit entry, and drops what is no longer needed because of it."""
        sheet = self.sheet
        sheet.put(after)
        if before is None:
            sheet.new.add(after.id)
        moved = Entry(after.id, at_ms, actor, action, both(before) if before else "", both(after), detail)
        sheet.entries.append(moved)
        why = f"{action} by {actor}"
        if before is not None and after.occurrences > before.occurrences:
            # What still waits is about the earlier occurrence, perhaps that it was over; the new plan says it all again.
            sheet.cancel(Cancel(after.id, ("always", *_CLOSED), "alarmed again", keep_help=True))
            sheet.stop_timers(after.id)
        elif not after.live and (before is None or before.live):
            sheet.cancel(Cancel(after.id, _CLOSED, why))
            sheet.stop_timers(after.id)
        elif after.on_scene_at_ms is not None and (before is None or before.on_scene_at_ms is None):
            sheet.cancel(Cancel(after.id, _ON_SCENE, why))
        elif after.acked_at_ms is not None and (before is None or before.acked_at_ms is None):
            sheet.cancel(Cancel(after.id, _ACKNOWLEDGED, why))

    def settle(self, alert: Alert, at_ms: int) -> bool:
        """Closes `alert` when nothing is left to do, and tells so. Whether it did."""
        after = settled(alert, at_ms)
        if after is None:
            return False
        self.change(alert, after, at_ms, HUB, "closed", reason=after.close_reason)
        self.follow(after, at_ms, "closed", lambda: self.planner.closed(after, self.now_ms))
        return True

    def follow(self, alert: Alert, at_ms: int, why: str, ask: Callable[[], Plan]) -> Plan:
        """Puts the planner's answer on the sheet. A planner that fails costs a gap in the audit, never the alert itself.

        An alert that is told together with others keeps its timers; its message is left to the digest of its incident.
        """
        if is_withheld(alert, why):
            return Plan()
        try:
            plan = ask()
        except Exception as error:  # whatever it is: the other alarms of this batch must go out
            log.exception("desk.planning_failed", alert=alert.id, why=why)
            LOOP_ERRORS.labels(loop="desk.planning").inc()
            plan = Plan(gaps=(f"planning failed: {error!r}",))
        bundled = why == "raised" and alert.bundled_until_ms is not None
        for new in () if bundled else plan.deliveries:
            told = replace(new, transition=of_occurrence(new.transition, alert.occurrences))
            self.sheet.deliver(new_row(told, alert.severity, self.now_ms))
        for timer in plan.timers:
            self.sheet.time(timer)
        if plan.gaps:
            self.note(alert, at_ms, HUB, "gap", {"why": why, "gaps": list(plan.gaps)})
        return plan

    def note(
        self, alert: Alert, at_ms: int, actor: str, action: str, detail: dict[str, Any], *, moves: bool = True
    ) -> None:
        """An audit entry about an alert that stays in its states. With `moves` those who watch the alert hear of it."""
        if moves:
            self.sheet.put(alert)
        self.sheet.entries.append(Entry(alert.id, at_ms, actor, action, both(alert), both(alert), detail, moves))


def of_occurrence(transition: str, occurrence: int) -> str:
    """`transition` told apart from the same one of an earlier occurrence: raised, raised:2, step:1:2."""
    return transition if occurrence == 1 else f"{transition}:{occurrence}"
