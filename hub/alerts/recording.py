"""Applies what the rules found to the alerts: raised, raised again, returned, test pressed. Each episode exactly once.

An event may come any number of times (a replayed journal, a retried transaction, two hubs): the `episodes` table knows
every episode by its deterministic id, so what was recorded is skipped. Journal positions are not compared for that: they
mean nothing once a journal was replaced or lost its tail, and skipping wrongly would lose an alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from hub.alerts import lifecycle
from hub.alerts.drafting import Draft
from hub.alerts.lifecycle import ACTIVE, HUB
from hub.model.alerts import Alert, Subject
from hub.model.rules import ConditionEvent
from hub.stores import alert_rows
from hub.stores.alert_rows import Entry, Episode
from hub.telemetry import LOOP_ERRORS, log


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of the events. `change` is the highest change number written (0: nothing); `known` were recorded before."""

    raised: int = 0
    repeated: int = 0
    returned: int = 0
    closed: int = 0
    tests: int = 0
    known: int = 0
    change: int = 0
    deliveries: int = 0


class Recording:
    """The state that one transaction works on: the alerts and episodes that its events touch, locked and read."""

    def __init__(self, connection: Connection, events: Sequence[ConditionEvent], draft: Draft) -> None:
        self._draft = draft
        self._sheet = draft.sheet
        self.counts = dict.fromkeys(("raised", "repeated", "returned", "closed", "tests", "known"), 0)
        ids = {_episode_id(event) for event in events}
        touched = {known.alert_id for known in alert_rows.episodes_by_id(connection, ids).values()} - {None}
        touched |= set(alert_rows.live_ids(connection, {e.rule.id for e in events}, {e.device for e in events}))
        for alert in alert_rows.locked(connection, filter(None, touched)):
            self._sheet.alerts[alert.id] = alert
        # Read again, now under the locks: another hub may have recorded the same events a moment ago.
        self._sheet.episodes |= alert_rows.episodes_by_id(connection, ids)
        self._sheet.episodes |= alert_rows.open_episodes(connection, self._sheet.alerts)
        self._live = {(a.rule_id, a.device_id): a.id for a in self._sheet.alerts.values() if a.live}
        self._open = {e.alert_id: e.id for e in self._sheet.episodes.values() if e.alert_id and e.cleared_at_ms is None}

    def apply(self, event: ConditionEvent) -> None:
        known = self._sheet.episodes.get(_episode_id(event))
        if event.kind == "cleared":
            self._cleared(event, known)
        elif known is not None:
            self.counts["known"] += 1
        elif event.kind == "test":
            self._pressed(event)
        else:
            self._raised(event)

    def _raised(self, event: ConditionEvent) -> None:
        draft = self._draft
        before = self._sheet.alerts.get(self._live.get((event.rule.id, event.device), ""))
        if before is None:
            after = lifecycle.opened(event, self._subject(event))
            self._live[event.rule.id, event.device] = after.id
            action = "raised"
        else:
            self._end_episode(before.id, event.at_ms)  # its end was never heard of; the new one begins
            after = lifecycle.raised_again(before, event)
            action = "raised_again"
        self.counts["raised" if before is None else "repeated"] += 1
        self._begin_episode(event, after.id)
        draft.change(before, after, event.at_ms, HUB, action, value=after.value, position=event.position)
        draft.follow(after, event.at_ms, "raised", lambda: draft.planner.raised(after, draft.now_ms))

    def _cleared(self, event: ConditionEvent, known: Episode | None) -> None:
        draft = self._draft
        if known is None:
            alert = self._stranger(event)
        else:
            alert = self._sheet.alerts.get(known.alert_id or "")
        if alert is None or (known is not None and known.cleared_at_ms is not None):
            self.counts["known"] += 1
            return
        self._end_episode(alert.id, event.at_ms)
        after = lifecycle.returned(alert, event)
        self.counts["returned"] += 1
        draft.change(alert, after, event.at_ms, HUB, "returned", value=event.value, position=event.position)
        if draft.settle(after, event.at_ms):
            self.counts["closed"] += 1
            del self._live[after.rule_id, after.device_id]
        elif after.live:
            draft.follow(after, event.at_ms, "returned", lambda: draft.planner.returned(after, draft.now_ms))

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
        cleared_at_ms = None if alert_id else event.at_ms
        self._sheet.episodes[key] = Episode(
            key, alert_id, event.rule.id, event.device, event.episode_start_ms, event.at_ms, cleared_at_ms
        )
        self._sheet.new_episodes.add(key)
        if alert_id:
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


def _episode_id(event: ConditionEvent) -> str:
    return f"test:{event.alert_id}" if event.kind == "test" else event.alert_id
