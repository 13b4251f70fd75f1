"""Drafts on a sheet what an alert change brings with it: audit entry, planned deliveries and timers, cancellations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection

from hub.alerts import casework
from hub.alerts.incidents import is_withheld
from hub.alerts.lifecycle import HUB, both, settled
from hub.model.alerts import Alert
from hub.model.cases import Move
from hub.model.deliveries import Plan, Planner
from hub.stores import alert_rows, case_rows
from hub.stores.alert_rows import Cancel, Entry, Sheet
from hub.stores.ledger import Ledger
from hub.stores.outbox import new_row
from hub.telemetry import LOOP_ERRORS, log

_ACKNOWLEDGED = ("unacknowledged",)
_ON_SCENE = ("unacknowledged", "not_on_scene")
_CLOSED = ("unacknowledged", "not_on_scene", "live")
_MOVES: dict[str, Move] = {
    "acknowledge": "accept",
    "on_scene": "arrive",
    "close": "handle",
    "false_alarm": "false_alarm",
    "closed": "settled",
    "withdrawn": "settled",
}
"""How a change of an alert moves its case."""


class _Follow(NamedTuple):
    """A move that a case makes because of its alert. `before` None: the alert is new."""

    alert_id: str
    before: Alert | None
    move: Move
    at_ms: int
    actor: str
    words: str


class Draft:
    """One transaction's sheet and the planner. Not thread-safe; made anew for every try of the transaction."""

    def __init__(self, planner: Planner, now_ms: int) -> None:
        self.sheet = Sheet()
        self.planner = planner
        self.now_ms = now_ms
        self._follows: list[_Follow] = []

    def write(self, ledger: Ledger, connection: Connection) -> int:
        """Lets the cases follow their alerts, and writes the sheet; gives what `alert_rows.write` gives."""
        self.move_cases(connection)
        return alert_rows.write(ledger, connection, self.sheet, self.now_ms)

    def move_cases(self, connection: Connection) -> None:
        """Moves the cases of the alerts that changed so far; their rows are locked by it."""
        sheet = self.sheet
        known = {one.alert_id for one in self._follows if one.before is not None} - sheet.cases.keys()
        if known:
            sheet.cases |= case_rows.locked(connection, known)
        for alert_id, before, move, at_ms, actor, words in self._follows:
            case = sheet.cases.get(alert_id)
            if case is None:  # of a new alert, or of one that a hub without cases has opened
                sheet.put_case(casework.of_alert(before or sheet.alerts[alert_id]), new=True)
                if before is None:
                    continue
                case = sheet.cases[alert_id]
            elif before is not None:
                case = casework.agreed(case, before)
            if casework.CASEWORK[case.step][move] is None:
                continue  # the case went its own way after its alert was over
            case = casework.moved(case, move, actor, at_ms, words)
            if move == "handle" and casework.closes_at_once(case):
                case = casework.moved(case, "close", actor, at_ms, words)
            if case is not sheet.cases[alert_id]:
                sheet.put_case(case)
            if move == "raised":
                alert = sheet.alerts[alert_id]
                sheet.put_case(replace(case, severity=alert.severity, title_zh=alert.title_zh, title_en=alert.title_en))
        self._follows.clear()

    def change(self, before: Alert | None, after: Alert, at_ms: int, actor: str, action: str, **detail: Any) -> None:
        """Takes the changed alert with its audit entry, and drops what is no longer needed because of it."""
        sheet = self.sheet
        sheet.put(after)
        if before is None:
            sheet.new.add(after.id)
        moved = Entry(after.id, at_ms, actor, action, both(before) if before else "", both(after), detail)
        sheet.entries.append(moved)
        if not after.test:
            self._follow_case(before, after, at_ms, actor, action, str(detail.get("reason") or ""))
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

    def _follow_case(self, before: Alert | None, after: Alert, at_ms: int, actor: str, action: str, words: str) -> None:
        if before is None or after.occurrences > before.occurrences:
            self._follows.append(_Follow(after.id, before, "raised", at_ms, actor, words))
        elif action in _MOVES and (after.case_state != before.case_state or after.live != before.live):
            self._follows.append(_Follow(after.id, before, _MOVES[action], at_ms, actor, words))

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

        An alert that is told together with others keeps its timers; its message is left to the digest of its incident. A quiet
        one tells nobody, but a call for help always does.
        """
        if is_withheld(alert, why) or (alert.quiet and why != "reinforce"):
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
