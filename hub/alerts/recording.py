"""Applies what the rules found to the alerts: raised, raised again, returned, flapping, withdrawn, test pressed.

Each episode exactly once.

An event may come any number of times (a replayed journal, a retried transaction, two hubs): the `episodes` table knows
every episode by its deterministic id, so what was recorded is skipped. Journal positions are not compared for that: they
mean nothing once a journal was replaced or lost its tail, and skipping wrongly would lose an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from hub.alerts import lifecycle, silencing
from hub.alerts.drafting import Draft
from hub.alerts.evidence import read, written
from hub.alerts.incidents import grouped, may_group, place_of
from hub.alerts.lifecycle import ACTIVE, HUB
from hub.model.alerts import Alert, Incident, Subject
from hub.model.rules import ConditionEvent, RuleSpec, alert_id
from hub.stores import alert_rows, incident_rows, shelving_rows, silence_rows
from hub.stores.alert_rows import Entry, Episode
from hub.telemetry import LOOP_ERRORS, log

CHATTER = "chatter"
"""Id of the rule whose alert is the work order for a source that flaps."""


_COUNTED = ("raised", "repeated", "returned", "closed", "tests", "chattering", "withdrawn", "known")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of the events. `change` is the highest change number written (0: nothing); `known` were recorded before."""

    raised: int = 0
    repeated: int = 0
    returned: int = 0
    closed: int = 0
    tests: int = 0
    chattering: int = 0
    withdrawn: int = 0
    known: int = 0
    change: int = 0
    deliveries: int = 0


class Recording:
    """The state that one transaction works on: the alerts and episodes that its events touch, locked and read."""

    def __init__(
        self,
        connection: Connection,
        events: Sequence[ConditionEvent],
        draft: Draft,
        find_rule: Callable[[str], RuleSpec | None] = lambda rule_id: None,
    ) -> None:
        self._connection = connection
        self._draft = draft
        self._sheet = draft.sheet
        self._find_rule = find_rule
        self._latest: dict[tuple[str, str], str] = {}  # cause and place → their latest open incident
        self.counts = dict.fromkeys(_COUNTED, 0)
        ids = {_episode_id(event) for event in events}
        ids |= {_order_id(event) for event in events if event.kind == "chatter"}
        touched = {known.alert_id for known in alert_rows.episodes_by_id(connection, ids).values()} - {None}
        rules = {e.rule.id for e in events} | {CHATTER for e in events if e.kind == "chatter"}
        touched |= set(alert_rows.live_ids(connection, rules, {e.device for e in events}))
        for alert in alert_rows.locked(connection, filter(None, touched)):
            self._sheet.alerts[alert.id] = alert
        # Read again, now under the locks: another hub may have recorded the same events a moment ago.
        self._sheet.episodes |= alert_rows.episodes_by_id(connection, ids)
        self._sheet.episodes |= alert_rows.open_episodes(connection, self._sheet.alerts)
        self._shelved = shelving_rows.open_of(connection, {e.device for e in events})
        self._silences = silence_rows.standing(connection)
        self._live = {(a.rule_id, a.device_id): a.id for a in self._sheet.alerts.values() if a.live}
        self._open = {e.alert_id: e.id for e in self._sheet.episodes.values() if e.alert_id and e.cleared_at_ms is None}

    def apply(self, event: ConditionEvent) -> None:
        known = self._sheet.episodes.get(_episode_id(event))
        if event.kind in ("cleared", "withdrawn"):
            self._ended(event, known)
        elif known is not None:
            self.counts["known"] += 1
        elif event.kind == "test":
            self._pressed(event)
        elif event.kind == "chatter":
            self._chattered(event)
        else:
            self._raised(event)

    def _raised(self, event: ConditionEvent) -> Alert:
        draft = self._draft
        before = self._sheet.alerts.get(self._live.get((event.rule.id, event.device), ""))
        if before is None:
            subject = self._subject(event)
            opened = self._hushed(lifecycle.opened(event, subject))
            after = self._in_incident(opened, place_of(subject), event.at_ms)
            self._live[event.rule.id, event.device] = after.id
            action = "raised"
        else:
            self._end_episode(before.id, event.at_ms)  # its end was never heard of; the new one begins
            again = self._hushed(lifecycle.raised_again(before, event))
            after = self._in_incident(again, None, event.at_ms, event)
            action = "raised_again"
        self.counts["raised" if before is None else "repeated"] += 1
        self._begin_episode(event, after.id)
        together = {} if after.bundled_until_ms is None else {"told_at_ms": after.bundled_until_ms}
        together |= silencing.said(after)
        draft.change(before, after, event.at_ms, HUB, action, value=after.value, position=event.position, **together)
        draft.follow(after, event.at_ms, "raised", lambda: draft.planner.raised(after, draft.now_ms))
        return after

    def _in_incident(self, alert: Alert, place: str | None, at_ms: int, event: ConditionEvent | None = None) -> Alert:
        """`alert` with its incident, if it is of those that are grouped. `place` None: found out from `event` when needed."""
        told_alone = replace(alert, bundled_until_ms=None)
        if alert.quiet or not may_group(alert):
            return told_alone
        window_ms = self._window_ms(alert)
        if window_ms <= 0:
            return told_alone
        known = self._incident(alert.incident_id) if alert.incident_id is not None else None
        if place is None and known is None and event is not None:
            place = place_of(self._subject(event))
        if known is None:
            if not place:
                return told_alone
            known = self._open_incident(alert.rule_id, place)
        found = grouped(alert, known, place=place or "", window_ms=window_ms, at_ms=at_ms)
        self._sheet.incidents[found.incident.id] = found.incident
        (self._sheet.new_incidents if found.new else self._sheet.changed_incidents).add(found.incident.id)
        if found.new:
            self._latest[found.incident.rule_id, found.incident.place] = found.incident.id
        return found.alert

    def _hushed(self, alert: Alert) -> Alert:
        """`alert` as quiet as it has to be: its device is out of service, it is shelved and no P1, or raised in a silence."""
        if alert.test:
            return alert
        whole = self._shelved.get((alert.device_id, ""))
        mine = None if alert.severity == "P1" else self._shelved.get((alert.device_id, alert.rule_id))
        if whole is not None:
            return replace(alert, quiet="out_of_service", quiet_until_ms=whole.until_ms)
        if mine is not None:
            return replace(alert, quiet="shelved", quiet_until_ms=mine.until_ms)
        return silencing.touched(alert, self._silences, self._draft.now_ms)

    def _shot_over(self, alert: Alert) -> Alert:
        """`alert` after its condition ended: shelved for one shot, it is no longer."""
        mine = self._shelved.get((alert.device_id, alert.rule_id))
        if mine is None or mine.kind != "one_shot":
            return alert
        del self._shelved[alert.device_id, alert.rule_id]
        self._sheet.ended_shelvings[mine.id] = HUB
        return replace(alert, quiet="", quiet_until_ms=None) if alert.quiet == "shelved" else alert

    def _incident(self, incident_id: str) -> Incident | None:
        return self._sheet.incidents.get(incident_id) or incident_rows.by_id(self._connection, incident_id)

    def _open_incident(self, rule_id: str, place: str) -> Incident | None:
        """The latest open incident of this cause and place: of this transaction, else as stored."""
        latest = self._latest.get((rule_id, place))
        if latest is not None:
            return self._sheet.incidents[latest]
        stored = incident_rows.latest_open(self._connection, rule_id, place)
        if stored is None:
            return None
        self._latest[rule_id, place] = stored.id
        return self._sheet.incidents.setdefault(stored.id, stored)

    def _window_ms(self, alert: Alert) -> int:
        try:
            return self._draft.planner.window_ms(alert)
        except Exception:  # told by itself: too many messages are better than one too few
            log.exception("desk.window_failed", alert=alert.id)
            LOOP_ERRORS.labels(loop="desk.planning").inc()
            return 0

    def _chattered(self, event: ConditionEvent) -> None:
        """Marks the alert of a condition that flaps, and opens a work order for its source unless one is open."""
        self.counts["chattering"] += 1
        alert = self._sheet.alerts.get(self._live.get((event.rule.id, event.device), ""))
        self._begin_episode(event, alert.id if alert else None)
        evidence = read(written(event.evidence))
        detail = {"reason": event.reason, "evidence": evidence, "position": event.position}
        if alert is not None:
            self._draft.change(alert, replace(alert, chattering=True), event.at_ms, HUB, "chatter", **detail)
        else:
            about = {"rule": event.rule.id, "device": event.device, **detail}
            self._sheet.entries.append(Entry(None, event.at_ms, HUB, "chatter", detail=about))
        rule = self._find_rule(CHATTER)
        if rule is None or not rule.enabled or event.canary or event.rule.id == CHATTER:
            return
        order = self._sheet.alerts.get(self._live.get((CHATTER, event.device), ""))
        if order is not None:
            self._draft.note(order, event.at_ms, HUB, "chatter", {"rule": event.rule.id, "reason": event.reason})
        elif _order_id(event) not in self._sheet.episodes:
            # An order is no condition that could end by itself: nothing is left open for the rules to take up.
            order = self._raised(_order(event, rule, {"rule": event.rule.id, **evidence}))
            self._end_episode(order.id, event.at_ms)

    def _ended(self, event: ConditionEvent, known: Episode | None) -> None:
        draft = self._draft
        if known is None:
            alert = self._stranger(event)
        else:
            alert = self._sheet.alerts.get(known.alert_id or "")
        if alert is None or (known is not None and known.cleared_at_ms is not None):
            self.counts["known"] += 1
            return
        self._end_episode(alert.id, event.at_ms)
        if event.kind == "withdrawn":
            self._withdrawn(alert, event)
            return
        after = self._shot_over(lifecycle.returned(alert, event))
        self.counts["returned"] += 1
        draft.change(alert, after, event.at_ms, HUB, "returned", value=event.value, position=event.position)
        if draft.settle(after, event.at_ms):
            self.counts["closed"] += 1
            del self._live[after.rule_id, after.device_id]
        elif after.live and not alert.quiet:  # who was not told that it began is not told that it ended
            draft.follow(after, event.at_ms, "returned", lambda: draft.planner.returned(after, draft.now_ms))

    def _withdrawn(self, alert: Alert, event: ConditionEvent) -> None:
        draft = self._draft
        after = lifecycle.withdrawn(alert, event)
        self.counts["withdrawn"] += 1
        reason = event.reason or lifecycle.WITHDRAWN
        draft.change(alert, after, event.at_ms, HUB, "withdrawn", reason=reason, position=event.position)
        if alert.live and not after.live:
            self.counts["closed"] += 1
            del self._live[after.rule_id, after.device_id]
            draft.follow(after, event.at_ms, "closed", lambda: draft.planner.closed(after, draft.now_ms))

    def _stranger(self, event: ConditionEvent) -> Alert | None:
        """The alert that the end of an unknown episode means: the live, active one, unless the event is older than it.

        Such ends come from a rule engine that lost its state; without this the alert would stay active for ever.
        """
        alert = self._sheet.alerts.get(self._live.get((event.rule.id, event.device), ""))
        if alert is None or alert.alarm_state not in ACTIVE or event.at_ms < alert.last_event_ms:
            return None
        return alert

    def _pressed(self, event: ConditionEvent) -> None:
        self.counts["tests"] += 1
        self._begin_episode(event, None)
        detail = {"rule": event.rule.id, "device": event.device, "value": event.value, "position": event.position}
        self._sheet.entries.append(Entry(None, event.at_ms, HUB, "test", detail=detail))

    def _begin_episode(self, event: ConditionEvent, alert_id: str | None) -> None:
        key = _episode_id(event)
        holds = event.kind == "raised" and alert_id is not None
        self._sheet.episodes[key] = Episode(
            key,
            alert_id,
            event.rule.id,
            event.device,
            event.episode_start_ms,
            event.at_ms,
            None if holds else event.at_ms,
            written(event.evidence),
        )
        self._sheet.new_episodes.add(key)
        if holds and alert_id is not None:
            self._open[alert_id] = key

    def _end_episode(self, alert_id: str, at_ms: int) -> None:
        key = self._open.pop(alert_id, None)
        if key is not None:
            self._sheet.episodes[key] = self._sheet.episodes[key]._replace(cleared_at_ms=at_ms)
            self._sheet.cleared_episodes.add(key)

    def _subject(self, event: ConditionEvent) -> Subject:
        try:
            return self._draft.planner.subject(event)
        except Exception:  # an alert without a place is better than no alert
            log.exception("desk.subject_failed", device=event.device, rule=event.rule.id)
            LOOP_ERRORS.labels(loop="desk.planning").inc()
            return Subject()


def _order(event: ConditionEvent, rule: RuleSpec, evidence: Mapping[str, Any]) -> ConditionEvent:
    """The work order for the source of the flapping `event`, as something that the rule `chatter` found."""
    return replace(
        event,
        kind="raised",
        rule=rule,
        episode_start_ms=event.at_ms,
        quantity=rule.quantity,
        value=True,
        threshold=None,
        evidence=evidence,
    )


def _order_id(event: ConditionEvent) -> str:
    return alert_id(CHATTER, event.device, event.at_ms)


def _episode_id(event: ConditionEvent) -> str:
    return f"{event.kind}:{event.alert_id}" if event.kind in ("test", "chatter") else event.alert_id
