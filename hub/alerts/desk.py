"""The desk: the only writer of alerts. What the rules found and what people did becomes alerts, audit and deliveries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from hub.alerts import lifecycle, silencing
from hub.alerts.drafting import Draft
from hub.alerts.incidents import digest, sent
from hub.alerts.lifecycle import HUB
from hub.alerts.recording import Recorded, Recording
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.model.alerts import ACTIONS, Action, Actor, Alert, Incident, Role, Seen, Shelving
from hub.model.deliveries import Plan, Planner
from hub.model.readings import QuarantineRow
from hub.model.rules import ConditionEvent, RuleSpec
from hub.stores import alert_rows, incident_rows, shelving_rows, silence_rows
from hub.stores.ledger import Ledger
from hub.stores.outbox import new_row
from hub.telemetry import LOOP_ERRORS, log

ACTING_ROLES: tuple[Role, ...] = ("grid_worker", "station", "officer", "admin")
SAME_CALL_MS = 30_000
"""A second call for reinforcement by the same person within this time is the same call: a double tap, a retried request."""

_TIMER_BATCH = 100
_DIGEST_BATCH = 20
_PLAN_AGAIN_MS = 10_000
_SHORTEN_EVERY = 100


class Desk:
    """Thread-safe. Every method is one transaction (`run_timers`: several) and raises `Unavailable` while the ledger is away.

    After a commit `on_change` is told the highest change number, and `on_outbox` that something may be due for sending.
    Both are called in the caller's thread and must not block. `find_rule` gives a rule of the set in force by its id: the work
    order for a source that flaps is an alert of the rule `chatter`; where there is no such rule there are no work orders.
    """

    def __init__(
        self,
        ledger: Ledger,
        planner: Planner,
        *,
        on_change: Callable[[int], None] = lambda change: None,
        on_outbox: Callable[[], None] = lambda: None,
        find_rule: Callable[[str], RuleSpec | None] = lambda rule_id: None,
    ) -> None:
        self._ledger = ledger
        self._planner = planner
        self._on_change = on_change
        self._on_outbox = on_outbox
        self._find_rule = find_rule
        self._quarantined = 0

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    @property
    def planner(self) -> Planner:
        return self._planner

    def record(
        self,
        events: Sequence[ConditionEvent],
        *,
        consumer: str,
        journal: str,
        position: int,
        now_ms: int,
        quarantine: Sequence[QuarantineRow] = (),
    ) -> Recorded:
        """Records what the rules found, what was rejected, and that `consumer` goes on at `position` of `journal`.

        All or nothing. Idempotent: events that were recorded before change nothing, in whatever batches they come again.
        The position is stored as told, also when it goes back (a replay); the same events lead forward again.
        """

        def work(connection: Connection) -> Recorded:
            draft = Draft(self._planner, now_ms)
            counts: dict[str, int] = {}
            if events:
                recording = Recording(connection, events, draft, self._find_rule)
                for event in events:
                    recording.apply(event)
                counts = recording.counts
            change = draft.write(self._ledger, connection)
            if quarantine:
                alert_rows.keep_rejected(connection, quarantine)
                if self._quarantined % _SHORTEN_EVERY == 0:
                    alert_rows.shorten_quarantine(connection)
            alert_rows.move_cursor(connection, consumer, journal, position, now_ms)
            return Recorded(**counts, change=change, deliveries=len(draft.sheet.planned))

        recorded = self._ledger.transact(work)
        self._quarantined += 1 if quarantine else 0
        self.announce(recorded.change, recorded.deliveries)
        return recorded

    def position_of(self, consumer: str) -> tuple[int, str] | None:
        """Where `consumer` goes on: (position, identity of the journal that it belongs to); None when it never began."""
        with self._ledger.read() as connection:
            return alert_rows.position_of(connection, consumer)

    def live_conditions(self) -> list[tuple[str, str, int, str]]:
        """(rule id, device id, episode_start_ms, alarm state) to begin from when no snapshot of the rule state exists.

        The condition holds where the alarm state is `active_…`, also when people closed the alert as a false alarm. The
        others are live alerts whose condition is gone.
        """
        with self._ledger.read() as connection:
            return alert_rows.conditions(connection)

    def act(
        self,
        alert_id: str,
        action: Action,
        actor: Actor,
        now_ms: int,
        *,
        reason: str = "",
        seen: Seen | None = None,
    ) -> Alert:
        """Does `action` for `actor` and returns the alert after it. Doing it again changes nothing but the audit.

        `seen` is the alarm that the answer is about: an answer to an older one, or to a lower severity, is refused.

        Raises `NotFound`, `NotAllowed` (role, or not in the actor's area) or `IllegalAction` (the alert's state forbids it).
        """

        def work(connection: Connection) -> tuple[Alert, int, int]:
            before = permitted(connection, alert_id, action, actor)
            draft = Draft(self._planner, now_ms)
            self.answer(connection, draft, before, action, actor, reason, seen)
            change = draft.write(self._ledger, connection)
            after = alert_rows.locked(connection, [before.id])[0]
            return after, change if draft.sheet.changed else 0, len(draft.sheet.planned)

        after, change, deliveries = self._ledger.transact(work)
        self.announce(change, deliveries)
        return after

    def answer(
        self,
        connection: Connection,
        draft: Draft,
        alert: Alert,
        action: Action,
        actor: Actor,
        reason: str,
        seen: Seen | None,
    ) -> None:
        """Puts `action` on the sheet of `draft`; `alert` is locked. Raises `IllegalAction`."""
        refused = lifecycle.mistaken(alert, action, seen) or lifecycle.objection(alert, action, reason)
        if refused is not None:
            raise IllegalAction(refused.message, remedy=refused.remedy, code=refused.code, values=refused.values)
        draft.sheet.alerts[alert.id] = alert
        if action == "reinforce":
            self._call_for_help(connection, draft, alert, actor, reason)
        else:
            _answer(draft, alert, action, actor, reason)

    def _call_for_help(self, connection: Connection, draft: Draft, alert: Alert, actor: Actor, reason: str) -> None:
        if not alert.live:
            raise AssertionError("the case table refuses this")
        before, now_ms, who = alert_rows.calls_for_help(connection, alert.id), draft.now_ms, _who(actor, reason)
        if any(by == actor.id and now_ms - at_ms < SAME_CALL_MS for at_ms, by in before):
            draft.note(alert, now_ms, actor.id, "reinforce_again", who, moves=False)
            return
        nth = len(before) + 1
        draft.note(alert, now_ms, actor.id, "reinforce", {**who, "nth": nth})
        draft.follow(alert, now_ms, "reinforce", lambda: self._planner.reinforced(alert, nth, now_ms))

    def run_timers(self, now_ms: int) -> int:
        """Runs the escalation steps and the digests that are due. Returns how many. Several hubs may do this at the same time.

        What another hub (or a person's tap) has locked is left to it, or to the next call.
        """
        ran, skipped = 0, False
        while not skipped:
            handled, found, change, deliveries = self._ledger.transact(lambda tx: self._run_some(tx, now_ms))
            self.announce(change, deliveries)
            ran += handled
            skipped = handled < found or found < _TIMER_BATCH
        ran += self._wake_shelved(now_ms) + self.wake_silenced(now_ms)
        while (sent := self._ledger.transact(lambda tx: self._run_digests(tx, now_ms)))[0]:
            self.announce(0, sent[1])
            ran += sent[0]
        return ran

    def _wake_shelved(self, now_ms: int) -> int:
        """Ends the shelvings whose time is over: what still holds alarms as if it had just occurred. How many ended."""
        with self._ledger.read() as connection:
            over = shelving_rows.due(connection, now_ms, _TIMER_BATCH)
        for shelving in over:
            self.wake(shelving, HUB, now_ms)
        return len(over)

    def wake_silenced(self, now_ms: int) -> int:
        """Tells again what silences and drills that are over have kept, where it still holds. How many alerts."""
        with self._ledger.read() as connection:
            if not silence_rows.kept_until(connection, now_ms, 1) and not silence_rows.over(connection, now_ms):
                return 0

        def work(connection: Connection) -> tuple[int, int, int]:
            draft = Draft(self._planner, now_ms)
            woken = silencing.resume(connection, draft, _TIMER_BATCH)
            return woken, draft.write(self._ledger, connection), len(draft.sheet.planned)

        ran = 0
        while True:
            woken, change, deliveries = self._ledger.transact(work)
            self.announce(change, deliveries)
            ran += woken
            if woken < _TIMER_BATCH:
                return ran

    def wake(self, shelving: Shelving, who: str, now_ms: int, **detail: str) -> None:
        """Ends `shelving`: what it kept quiet tells again, and alarms anew where its condition holds. Idempotent."""

        def work(connection: Connection) -> tuple[int, int]:
            draft = Draft(self._planner, now_ms)
            for alert in alert_rows.locked(connection, shelving_rows.quiet_alerts(connection, shelving)):
                _wake(draft, alert, who, detail)
            draft.sheet.ended_shelvings[shelving.id] = who
            return draft.write(self._ledger, connection), len(draft.sheet.planned)

        self.announce(*self._ledger.transact(work))

    def _run_digests(self, connection: Connection, now_ms: int) -> tuple[int, int]:
        """Plans the messages to all for incidents whose window has ended; how many incidents, how many deliveries."""
        draft = Draft(self._planner, now_ms)
        due = incident_rows.due(connection, now_ms, _DIGEST_BATCH)
        for incident in due:
            _tell_together(draft, incident, incident_rows.bundled(connection, incident))
        draft.write(self._ledger, connection)
        return len(due), len(draft.sheet.planned)

    def _run_some(self, connection: Connection, now_ms: int) -> tuple[int, int, int, int]:
        due = alert_rows.due_timers(connection, now_ms, _TIMER_BATCH)
        if not due:
            return 0, 0, 0, 0
        draft = Draft(self._planner, now_ms)
        for alert in alert_rows.locked(connection, {alert_id for _, alert_id in due}, skip_locked=True):
            draft.sheet.alerts[alert.id] = alert
        mine = alert_rows.due_timers_of(connection, draft.sheet.alerts, now_ms)
        for number, alert_id, step in mine:
            _escalate(draft, draft.sheet.alerts[alert_id], number, step)
        change = draft.write(self._ledger, connection)
        return len(mine), len(due), change, len(draft.sheet.planned)

    def announce(self, change: int, deliveries: int) -> None:
        if change:
            self._on_change(change)
        if deliveries:
            self._on_outbox()


def permitted(connection: Connection, alert_id: str, action: Action, actor: Actor) -> Alert:
    """The alert, its row locked, if `actor` may do `action` to it."""
    if action not in ACTIONS:
        raise IllegalAction(f"there is no action {action!r}", remedy=f"use one of: {', '.join(ACTIONS)}")
    found = alert_rows.locked(connection, [alert_id])
    if not found:
        raise NotFound(f"there is no alert {alert_id!r}", remedy="look it up in the list of alerts")
    if not actor.may_see(found[0].grid, found[0].station):
        raise NotAllowed(
            "this alert is not in your area",
            remedy=f"ask an administrator for access to grid {found[0].grid} or station {found[0].station}",
        )
    if actor.role not in ACTING_ROLES:
        raise NotAllowed(
            f"the role {actor.role} may look at alerts but not act on them",
            remedy=f"use a token with one of the roles {', '.join(ACTING_ROLES)}",
        )
    return found[0]


def _answer(draft: Draft, before: Alert, action: Action, actor: Actor, reason: str) -> None:
    now_ms, planner = draft.now_ms, draft.planner
    after = lifecycle.acted(before, action, actor.id, now_ms, reason)
    if after is before:
        draft.note(before, now_ms, actor.id, f"{action}_again", _who(actor, reason), moves=False)
        return
    draft.change(before, after, now_ms, actor.id, action, **_who(actor, reason))
    if after.live:
        draft.settle(after, now_ms)
    else:
        draft.follow(after, now_ms, "closed", lambda: planner.closed(after, now_ms))


def _wake(draft: Draft, alert: Alert, who: str, detail: Mapping[str, str]) -> None:
    after = lifecycle.woken(alert, draft.now_ms)
    draft.change(alert, after, draft.now_ms, who, "unshelved", **detail)
    if after.occurrences > alert.occurrences:
        draft.follow(after, draft.now_ms, "raised", lambda: draft.planner.raised(after, draft.now_ms))


def _escalate(draft: Draft, alert: Alert, number: int, step: int) -> None:
    now_ms = draft.now_ms
    try:
        plan = draft.planner.step(alert, step, now_ms) if alert.live else Plan()
    except Exception:  # an escalation that cannot be planned now is not given up
        log.exception("desk.planning_failed", alert=alert.id, why=f"step:{step}")
        LOOP_ERRORS.labels(loop="desk.planning").inc()
        draft.sheet.later_timers.append((number, now_ms + _PLAN_AGAIN_MS))
        return
    draft.sheet.done_timers.append(number)
    if plan.deliveries or plan.gaps:
        alert = replace(alert, escalation_level=max(alert.escalation_level, step))
        draft.note(alert, now_ms, HUB, "escalated", {"step": step, "deliveries": len(plan.deliveries)})
    draft.follow(alert, now_ms, f"step:{step}", lambda: plan)


def _tell_together(draft: Draft, incident: Incident, alerts: Sequence[Alert]) -> None:
    """One message for each receiver about all that came while the window of `incident` ran."""
    draft.sheet.incidents[incident.id] = sent(incident)
    draft.sheet.changed_incidents.add(incident.id)
    plans: list[tuple[Alert, Plan]] = []
    for alert in alerts:
        try:
            plans.append((alert, draft.planner.raised(alert, draft.now_ms)))
        except Exception as error:  # the others are told all the same
            log.exception("desk.planning_failed", alert=alert.id, why="digest")
            LOOP_ERRORS.labels(loop="desk.planning").inc()
            gap = {"why": "digest", "gaps": [f"planning failed: {error!r}"]}
            draft.note(alert, draft.now_ms, HUB, "gap", gap, moves=False)
    deliveries = digest(incident, plans, draft.now_ms)
    for new in deliveries:
        severity = next(alert.severity for alert in alerts if alert.id == new.alert_id)
        draft.sheet.deliver(new_row(new, severity, draft.now_ms))
    if deliveries:
        detail = {"incident": incident.id, "alerts": len(alerts), "deliveries": len(deliveries)}
        draft.note(alerts[0], draft.now_ms, HUB, "digest", detail, moves=False)


def _who(actor: Actor, reason: str) -> dict[str, str]:
    who = {"name": actor.name, "role": actor.role, "via": actor.via}
    return {**who, "reason": reason.strip()} if reason.strip() else who
